// Attributes of a file that divide it into packages.

import type { FeatureCollection } from "geojson";

const MOST_CHOICES = 8; // attributes to choose from
const LIKELY = /^(name|title|label|district|county|region|municipality)$/i;

export interface PackageChoice {
  attribute: string;
  /** Number of packages. */
  count: number;
}

/** Return the attributes with several values, of which every feature has one: those likely to be names first. */
export function packageChoices(collection: FeatureCollection): PackageChoice[] {
  const attributes = Object.keys(collection.features[0]?.properties ?? {});
  return attributes
    .map((attribute) => ({ attribute, count: packageCount(collection, attribute) }))
    .filter(({ count }) => count > 1)
    .sort((one, other) => Number(LIKELY.test(other.attribute)) - Number(LIKELY.test(one.attribute)))
    .slice(0, MOST_CHOICES);
}

/** Return the number of values of an attribute; 0 if a feature has none. */
export function packageCount(collection: FeatureCollection, attribute: string): number {
  const values = collection.features.map(({ properties }) => textOf(properties?.[attribute]));
  return values.includes("") ? 0 : new Set(values).size;
}

/** Return a value as the API compares it. */
function textOf(value: unknown): string {
  if (typeof value === "number") return Number.isSafeInteger(value) || !Number.isInteger(value) ? String(value) : "";
  return typeof value === "string" ? value.trim().normalize("NFC") : "";
}
