// The page of a job: renews its contents until the job has ended, and offers it to other devices.

import { encode } from "uqr";
import { renderedJob } from "./api";
import { element } from "./dom";
import type { JobMap } from "./job_map";
import { remember } from "./recent";

const INTERVAL_MS = 2000;
const MAP_INTERVAL_MS = 5000;
const LOST = "The server does not answer. The export goes on; this page asks again every few seconds.";

/** Follow a job. The server renders the same page for browsers without scripts. */
export async function followJob(shown: HTMLElement): Promise<void> {
  const path = location.pathname.replace(/\/+$/, "");
  const title = document.querySelector("h1")?.textContent ?? path;
  const address = location.origin + path;
  const map = document.querySelector<HTMLElement>("[data-job-map]")!;
  map.after(shareSection(address));
  shown.before(connectionNotice());
  const renewMap = mapRenewal(map, path);
  for (;;) {
    addCopyButtons(shown);
    const state = shown.dataset["state"] ?? "";
    document.title = `${state}: ${title}`;
    remember(path, title, shown);
    void renewMap(shown.dataset["final"] === "true");
    if (shown.dataset["final"] === "true") return;
    await renewal(shown);
  }
}

/** Return a function that renews the map: at the end, and at intervals before. */
function mapRenewal(section: HTMLElement, path: string): (isFinal: boolean) => Promise<void> {
  let map: Promise<JobMap> | undefined;
  let renewedAt = -Infinity;
  let running = Promise.resolve();
  const renew = async (isFinal: boolean): Promise<void> => {
    if (!isFinal && performance.now() - renewedAt < MAP_INTERVAL_MS) return;
    map ??= import("./job_map").then(({ JobMap }) => new JobMap(section, path));
    await (await map).renew();
    renewedAt = performance.now();
  };
  return (isFinal) => (running = running.then(() => renew(isFinal))); // one after the other, on slow connections too
}

/** Wait until the page has changed, and show its new contents. */
async function renewal(shown: HTMLElement): Promise<void> {
  const before = shown.outerHTML;
  const notice = element("connection");
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    const { job: found, isGone, needsSignIn } = await renderedJob(location.pathname);
    if (isGone || needsSignIn) {
      location.reload(); // shows the reason, and the form for signing in
      await new Promise(() => {}); // a slow reload must not be started again
    }
    const text = found ? "" : LOST;
    if (notice.textContent !== text) notice.textContent = text;
    if (found && found.outerHTML !== before) {
      const focused = document.activeElement?.closest("[data-job]") ? document.activeElement.tagName : "";
      renew(shown, found);
      if (focused) shown.querySelector<HTMLElement>(focused.toLowerCase())?.focus();
      return;
    }
  }
}

/** Show the contents of a newer page. The element of the state stays: screen readers announce changes of its text. */
function renew(shown: HTMLElement, found: HTMLElement): void {
  Object.assign(shown.dataset, found.dataset);
  const state = shown.querySelector(".state")!;
  const newState = found.querySelector(".state")!;
  newState.remove();
  if (state.textContent !== newState.textContent) state.replaceChildren(...newState.childNodes);
  state.className = newState.className;
  while (state.nextSibling) state.nextSibling.remove();
  state.after(...found.childNodes);
}

/** Return the place that says that the server does not answer; empty while it does. */
function connectionNotice(): HTMLElement {
  const notice = document.createElement("p");
  notice.id = "connection";
  notice.setAttribute("role", "status");
  return notice;
}

/** Return a picture and a link with the address of this page, for a phone or a colleague. */
function shareSection(address: string): HTMLElement {
  const section = document.createElement("section");
  const heading = document.createElement("h2");
  heading.textContent = "On another device";
  const explanation = document.createElement("p");
  explanation.textContent = "Scan the picture with the camera of a phone, or send the link:";
  const link = document.createElement("a");
  link.href = address;
  link.textContent = address;
  const line = document.createElement("p");
  line.append(link);
  section.append(heading, explanation, qrCode(address), line, copyButton("Copy link", address));
  return section;
}

/** Return a text as a QR code. */
function qrCode(text: string): SVGSVGElement {
  const { data, size } = encode(text, { border: 2 });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("class", "qr");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "QR code with the address of this page");
  const path = document.createElementNS(svg.namespaceURI, "path");
  const squares = data.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : "")));
  path.setAttribute("d", squares.join(""));
  svg.append(path);
  return svg as SVGSVGElement;
}

function addCopyButtons(root: HTMLElement): void {
  for (const code of root.querySelectorAll("pre > code")) {
    code.parentElement?.after(copyButton("Copy command", code.textContent ?? ""));
  }
}

/** Return a button that copies a text; nothing where the browser does not allow it. */
function copyButton(name: string, text: string): HTMLElement | string {
  if (!navigator.clipboard) return ""; // without TLS
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = name), 2000);
  });
  return button;
}
