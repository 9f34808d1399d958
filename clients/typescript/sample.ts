// What a client of Signalbook does: create, list, edit together, many at once, catch up, offline
// work, delete. Run it against a service: node dist/sample.js http://127.0.0.1:3010
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import createClient from "openapi-fetch";

import type { components, paths } from "./schema.js";

type Camera = components["schemas"]["Camera"];

const token = process.env["ACCESS_TOKEN"];
const client = createClient<paths>({
  baseUrl: process.argv[2] ?? "http://127.0.0.1:3010",
  headers: token ? { Authorization: `Bearer ${token}` } : {},
});

// A show, and a camera in it. Without an `id` it gets the next free label.
const made = await client.POST("/api/productions", {
  body: { showName: "The sample of a client" },
});
assert(made.data, made.error?.message);
const production = made.data.uuid;
const created = await client.POST("/api/cameras", {
  body: { productionId: production, name: "LONG LENS CENTER" },
});
assert(created.data, created.error?.message);
const camera: Camera = created.data;
assert.equal(camera.id, "CAM 1");

// The list, and the same list again: 304, there is nothing new.
const path = { production };
const listed = await client.GET("/api/cameras/production/{production}", { params: { path } });
assert.deepEqual(listed.data?.map((each) => each.uuid), [camera.uuid]);
const etag = listed.response.headers.get("etag");
assert(etag, "a list names its state");
const unchanged = await client.GET("/api/cameras/production/{production}", {
  params: { path, header: { "If-None-Match": etag } },
});
assert.equal(unchanged.response.status, 304);

// Two people began at version 1. Different fields are merged …
const key = { key: camera.uuid };
const anna = await client.PATCH("/api/cameras/{key}", {
  params: { path: key },
  body: { version: 1, name: "JIB", userName: "Anna" },
});
assert.equal(anna.data?.version, 2);
const bob = await client.PATCH("/api/cameras/{key}", {
  params: { path: key },
  body: { version: 1, lensType: "22x7.6", userName: "Bob" },
});
assert.deepEqual([bob.data?.name, bob.data?.lensType], ["JIB", "22x7.6"]);

// … the same field is a conflict. `code` says which error it is, and so which members it has.
const refused = await client.PATCH("/api/cameras/{key}", {
  params: { path: key },
  body: { version: 1, name: "CRANE", userName: "Bob" },
});
assert(refused.error?.code === "VERSION_CONFLICT");
assert.equal(refused.error.currentVersion, 3);

// Many at once: all or nothing.
const many = await client.POST("/api/productions/{production}/cameras/bulk", {
  params: { path, header: { "Idempotency-Key": randomUUID() } },
  body: {
    atomic: true,
    operations: [
      { op: "create", data: { name: "HANDHELD 1" } },
      { op: "update", key: camera.uuid, data: { note: "on the riser" } },
    ],
  },
});
assert.deepEqual(many.data?.results.map((each) => each.status), ["created", "updated"]);

// What was done since: the feed, from any number on.
const feed = await client.GET("/api/productions/{production}/changes", {
  params: { path, query: { since: 0 } },
});
assert.equal(feed.data?.changes.at(-1)?.seq, feed.data?.latest);

// Work that was done offline, sent as one batch; sent again, it is not done again.
const batch = {
  clientId: "the sample",
  since: feed.data?.next ?? 0,
  mutations: [
    {
      mutationId: randomUUID(), op: "create" as const, collection: "cameras" as const,
      uuid: randomUUID(), data: { name: "ROOF" },
    },
  ],
};
for (const status of ["applied", "duplicate"]) {
  const synced = await client.POST("/api/productions/{production}/sync", {
    params: { path },
    body: batch,
  });
  assert.equal(synced.data?.results[0]?.status, status);
}

// Gone from every list; a restore would bring it back.
const deleted = await client.DELETE("/api/cameras/{key}", { params: { path: key } });
assert.equal(deleted.data?.success, true);
const gone = await client.GET("/api/cameras/{key}", { params: { path: key } });
assert.equal(gone.error?.code, "NOT_FOUND");
await client.DELETE("/api/productions/{key}", { params: { path: { key: production } } });
console.log("The whole sample was done.");
