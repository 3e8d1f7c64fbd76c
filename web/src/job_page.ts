// The page of a job: renews its contents until the job has ended.

const INTERVAL_MS = 2000;

/** Follow a job. The server renders the same page for browsers without scripts. */
export async function followJob(shown: HTMLElement): Promise<void> {
  while (shown.dataset["final"] !== "true") {
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    const found = await renewed();
    if (found && found.innerHTML !== shown.innerHTML) {
      shown.replaceWith(found);
      shown = found;
    }
  }
}

/** Return the present contents of the page; null if the server did not answer, which may be for a moment. */
async function renewed(): Promise<HTMLElement | null> {
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const found = page.querySelector<HTMLElement>("[data-job]");
    return found && document.adoptNode(found);
  } catch {
    return null;
  }
}
