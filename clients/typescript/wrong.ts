// What the compiler refuses. Each line below its comment is an error, or this file does
// not compile.
import type { components } from "./schema.js";

type Bulk = components["schemas"]["CameraBulk"];

// A member that cameras do not have, in a row of many.
export const unknownMember: Bulk["operations"] = [
  // @ts-expect-error: no such member
  { op: "create", data: { name: "CAM", lens: "22x7.6" } },
];

// A member of another type.
export const wrongType: Bulk["operations"] = [
  // @ts-expect-error: not a number
  { op: "create", data: { name: "CAM", maxZoom: "far" } },
];

// A row without its required member.
// @ts-expect-error: of which show?
export const missing: components["schemas"]["CameraCreate"] = { name: "CAM" };
