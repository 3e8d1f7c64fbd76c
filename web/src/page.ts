// The script of every page: loads the modules that the page needs. Without it, pages are forms and links.

const mapPanel = document.querySelector<HTMLElement>("[data-map]");
if (mapPanel) {
  const { showMapPage } = await import("./map_page");
  await showMapPage(mapPanel);
}
const job = document.querySelector<HTMLElement>("[data-job]");
if (job) {
  const { followJob } = await import("./job_page");
  await followJob(job);
}
const recent = document.getElementById("recent");
if (recent) {
  const { showRecent } = await import("./recent");
  await showRecent(recent);
}

export {};
