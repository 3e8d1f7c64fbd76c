// Zip archives, unpacked up to a limit: a small archive may hold more than the memory of the browser.

import { iter } from "but-unzip";

const MOST_UNPACKED_BYTES = 100_000_000;

/** An archive unpacks to more than the limit. */
export class ArchiveTooLarge extends Error {}

/** Return the files of an archive that are wanted, by their paths. Throw an error if it is damaged. */
export async function unpack(
  archive: Uint8Array,
  isWanted: (path: string) => boolean,
): Promise<Map<string, Uint8Array>> {
  let left = MOST_UNPACKED_BYTES;
  const take = (bytes: Uint8Array) => {
    left -= bytes.length;
    if (left < 0) throw new ArchiveTooLarge();
    return bytes;
  };
  const inflate = async (packed: Uint8Array) => {
    const stream = new Blob([packed as BlobPart]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    const chunks: BlobPart[] = [];
    const reader = stream.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return new Uint8Array(await new Blob(chunks).arrayBuffer());
      chunks.push(take(value) as BlobPart);
    }
  };
  const files = new Map<string, Uint8Array>();
  for (const { filename, read } of iter(archive, inflate)) {
    const path = filename.replaceAll("\\", "/");
    if (!path.endsWith("/") && isWanted(path)) files.set(path, await read());
  }
  return files;
}
