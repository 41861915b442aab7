/** Formats a count with thousands separators: "4,532". */
export const whole = (value: number): string => Math.round(value).toLocaleString("en");

/** Formats a factor: "16.4×". */
export const times = (value: number): string =>
  Number.isFinite(value) ? `${value < 100 ? value.toFixed(1) : whole(value)}×` : "–";

/** Formats a count: 12 300 000 is "12.3 M". */
export function short(value: number): string {
  const units = ["", " k", " M", " G", " T", " P"];
  const power = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  const scaled = value / 1000 ** power;
  return `${power === 0 ? Math.round(value) : scaled.toFixed(scaled < 10 ? 2 : scaled < 100 ? 1 : 0)}${units[power]}`;
}

/** Formats bytes in decimal units: "1.23 GB". */
export const bytes = (value: number): string => `${short(value)}${value < 1000 ? " " : ""}B`;

/** Formats milliseconds: "350 ms", "1.02 s". */
export const duration = (ms: number): string =>
  ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(2)} s`;

/** Formats a small difference without an exponent: "0.000002". */
export const difference = (value: number): string =>
  value === 0 ? "0" : value.toFixed(Math.min(9, Math.max(1, -Math.floor(Math.log10(value)))));
