// Numbers, sizes and scales in words.

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Return a number with its noun, such as "1 tile" or "1,200 tiles". */
export function counted(count: number, noun: string): string {
  return `${number.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Return a number of bytes in decimal units. */
export function bytes(count: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${count < 10 && unit > 0 ? count.toFixed(1) : number.format(count)} ${units[unit]}`;
}

/** Return a time that is known roughly, such as "about 40 seconds"; the pages of jobs use the same words. */
export function duration(seconds: number): string {
  if (seconds < 10) return "a few seconds";
  if (seconds < 55) return `about ${Math.round(seconds / 10) * 10} seconds`;
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (minutes < 60) return `about ${counted(minutes < 10 ? minutes : 5 * Math.round(minutes / 5), "minute")}`;
  return `about ${counted(Math.round(minutes / 60), "hour")}`;
}

/** Return a price in dollars. */
export function dollars(price: number): string {
  return price < 0.01 ? "less than $0.01" : `about $${price.toFixed(2)}`;
}

/** Return a length on the ground. */
export function metres(length: number): string {
  if (length >= 1000) return `${number.format(length / 1000)} km`;
  if (length >= 10) return `${number.format(length)} m`;
  return length >= 1 ? `${length.toFixed(1)} m` : `${number.format(length * 100)} cm`;
}

/** Return a scale, such as "1:25,000". */
export function scale(denominator: number): string {
  return `1:${number.format(denominator)}`;
}

/** Return the smallest things that a map shows at a number of metres a pixel. */
export function visibleThings(metresPerPixel: number): string {
  const steps: [number, string][] = [
    [5000, "continents"],
    [600, "countries"],
    [150, "regions"],
    [40, "cities"],
    [10, "villages"],
    [2.5, "streets"],
    [0.7, "houses"],
    [0.2, "cars"],
  ];
  return steps.find(([limit]) => metresPerPixel >= limit)?.[1] ?? "people";
}
