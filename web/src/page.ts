// The script of every page: loads the modules that the page needs. Without it, pages are forms and links.

const mapPanel = document.querySelector<HTMLElement>("[data-map]");
if (mapPanel) {
  const loaded = await reported(import("./map_page"), mapPanel);
  await loaded?.showMapPage(mapPanel);
}
const job = document.querySelector<HTMLElement>("[data-job]");
if (job) {
  const loaded = await reported(import("./job_page"), job);
  await loaded?.followJob(job);
}
const recent = document.getElementById("recent");
if (recent) {
  const { showRecent } = await import("./recent");
  await showRecent(recent);
}

/** Wait for a module. If it cannot be loaded, say so before an element, and offer to reload the page. */
async function reported<T>(module: Promise<T>, place: HTMLElement): Promise<T | undefined> {
  try {
    return await module;
  } catch (error) {
    console.error(error);
    const notice = document.createElement("p");
    notice.setAttribute("role", "alert");
    const reload = document.createElement("button");
    reload.type = "button";
    reload.textContent = "Reload";
    reload.addEventListener("click", () => location.reload());
    notice.append("A part of this page could not be loaded: what it shows may be incomplete or out of date. ", reload);
    place.before(notice);
    return undefined;
  }
}

export {};
