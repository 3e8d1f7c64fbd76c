// The same tile as it is and with more compression, to compare.

import { bytes } from "./wording";

const QUALITY = 0.75; // of the API, unless a request names another

/** Fill two pictures with a tile, and with the same tile compressed again. Return false if there is no such tile. */
export async function comparePictures(url: string, pictures: [HTMLElement, HTMLElement]): Promise<boolean> {
  const response = await fetch(url);
  if (!response.ok) return false;
  const original = await response.blob();
  const bitmap = await createImageBitmap(original);
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  const smaller = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  for (const [index, blob] of [original, smaller].entries()) {
    if (!blob) return false;
    const image = pictures[index]!.querySelector("img")!;
    image.src = await dataUrl(blob);
    pictures[index]!.querySelector("figcaption span")!.textContent = bytes(blob.size);
  }
  return true;
}

function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result as string));
    reader.readAsDataURL(blob);
  });
}
