// The Node server: Express and pg, as a frontend team would write it. Rows become objects with
// names in camel case; every statement is prepared once for a connection. It validates no body.
// Its writes do what the service's do: one at a time in a production, numbered, logged and
// announced in one transaction.
"use strict";

const { randomUUID } = require("node:crypto");
const express = require("express");
const { Pool } = require("pg");

const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
const app = express();
app.disable("x-powered-by");
app.set("etag", false); // it would digest every body, and no client asks for it here
app.use(express.json());

const OF_PRODUCTION = "FROM {} r JOIN productions p ON p.uuid = r.production_uuid";
const LIVE = "AND NOT r.is_deleted AND NOT p.is_deleted";
const OUTPUTS = `(SELECT coalesce(json_agg(json_build_object('id', o.id, 'connector', o.connector,
  'outputIndex', o.output_index, 'hRes', o.h_res, 'vRes', o.v_res, 'rate', o.rate,
  'standard', o.standard, 'uuid', o.uuid) ORDER BY o.output_index, o.uuid), '[]')
  FROM source_outputs o WHERE o.source_uuid = r.uuid) AS outputs`;
const COLLECTIONS = {
  cameras: {
    table: "cameras",
    more: ", c.id AS ccu_id",
    join: "LEFT JOIN ccus c ON c.uuid = r.ccu_uuid",
  },
  ccus: { table: "ccus" },
  sources: { table: "sources", more: `, ${OUTPUTS}` },
  sends: { table: "sends", more: ", r.output_connector AS output" },
  "cable-snakes": { table: "cable_snakes" },
  connections: {
    table: "connections",
    more: ", s.id AS source_id",
    join: "LEFT JOIN sources s ON s.uuid = r.source_uuid",
  },
};

function selecting({ table, more = "", join = "" }, condition) {
  const from = OF_PRODUCTION.replace("{}", table);
  return `SELECT r.*, p.id AS production_id${more} ${from} ${join} WHERE ${condition}`;
}

const names = new Map();

function camel(column) {
  let name = names.get(column);
  if (name === undefined) {
    name = column.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
    names.set(column, name);
  }
  return name;
}

function shaped(row) {
  const shape = {};
  for (const column in row) shape[camel(column)] = row[column];
  shape.fieldVersions ??= {};
  return shape;
}

for (const [path, collection] of Object.entries(COLLECTIONS)) {
  const list = selecting(collection, `p.uuid = $1 ${LIVE} ORDER BY r.created_at, r.uuid`);
  app.get(`/api/${path}/production/:production`, async (request, response) => {
    const values = [request.params.production];
    const { rows } = await pool.query({ name: `list ${path}`, text: list, values });
    response.json(rows.map(shaped));
  });
}

const ONE = selecting(COLLECTIONS.cameras, `r.uuid = $1 ${LIVE}`);

async function camera(client, uuid) {
  const { rows } = await client.query({ name: "camera", text: ONE, values: [uuid] });
  return rows.length ? shaped(rows[0]) : null;
}

app.get("/api/cameras/:uuid", async (request, response) => {
  const found = await camera(pool, request.params.uuid);
  if (found) response.json(found);
  else response.status(404).json({ error: "Camera not found" });
});

async function inTransaction(work) {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const result = await work((name, text, values) => client.query({ name, text, values }), client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
}

async function log(query, client, production, uuid, operation, changes) {
  const body = await camera(client, uuid);
  const numbered = await query(
    "number",
    "UPDATE productions SET change_seq = change_seq + 1 WHERE uuid = $1 RETURNING change_seq",
    [production],
  );
  const seq = numbered.rows[0].change_seq;
  await query(
    "log",
    `INSERT INTO changes (uuid, production_uuid, seq, collection, entity_uuid, operation, version,
     changes, entity, user_id, user_name)
     VALUES ($1, $2, $3, 'cameras', $4, $5, $6, $7, $8, 'system', 'System')`,
    [
      randomUUID(), production, seq, uuid, operation, body.version,
      JSON.stringify(changes), JSON.stringify(body),
    ],
  );
  await query("announce", "SELECT pg_notify('benchmark', $1)", [`${production} ${seq}`]);
  return body;
}

async function freeLabel(query, production) {
  const { rows } = await query(
    "labels",
    "SELECT id FROM cameras WHERE production_uuid = $1 AND NOT is_deleted",
    [production],
  );
  const numbers = rows.map(({ id }) => Number(/^CAM (\d+)$/.exec(id)?.[1] ?? 0));
  return `CAM ${Math.max(0, ...numbers) + 1}`;
}

async function isTaken(query, production, label) {
  const { rows } = await query(
    "taken",
    `SELECT EXISTS (
      SELECT FROM cameras WHERE production_uuid = $1 AND id = $2 AND NOT is_deleted
    ) AS taken`,
    [production, label],
  );
  return rows[0].taken;
}

const WRITABLE = [
  "name", "note", "manufacturer", "model", "formatMode", "lensType", "maxZoom", "shootingDistance",
  "calculatedZoom", "focalLength", "smpteCableLength", "hasHeavyTripod", "hasMediumTripod",
  "hasTripod", "hasShortTripod", "hasDolly", "hasJib", "hasSteadicam", "hasMagicArm",
  "equipmentUuid",
];
const column = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const INSERT = `INSERT INTO cameras (uuid, production_uuid, id, ${WRITABLE.map(column).join(", ")})
  VALUES ($1, $2, $3, ${WRITABLE.map((_, place) => `$${place + 4}`).join(", ")})`;

app.post("/api/cameras", async (request, response) => {
  const sent = request.body;
  const [status, body] = await inTransaction(async (query, client) => {
    const { rows } = await query(
      "lock by label",
      "SELECT uuid FROM productions WHERE id = $1 AND NOT is_deleted FOR NO KEY UPDATE",
      [sent.productionId],
    );
    if (!rows.length) return [404, { error: "Production not found" }];
    const production = rows[0].uuid;
    if (sent.id && (await isTaken(query, production, sent.id))) {
      return [409, { error: "Duplicate id" }];
    }
    const label = sent.id ?? (await freeLabel(query, production));
    const uuid = randomUUID();
    await query("insert", INSERT, [uuid, production, label, ...WRITABLE.map((name) => sent[name])]);
    const made = { id: label };
    for (const name of WRITABLE) if (sent[name] !== undefined) made[name] = sent[name];
    const changes = Object.fromEntries(
      Object.entries(made).map(([name, value]) => [name, [null, value]]),
    );
    return [201, await log(query, client, production, uuid, "CREATE", changes)];
  });
  response.status(status).json(body);
});

app.patch("/api/cameras/:uuid", async (request, response) => {
  const { uuid } = request.params;
  const [status, body] = await inTransaction(async (query, client) => {
    const { rows } = await query(
      "lock",
      `SELECT p.uuid ${OF_PRODUCTION.replace("{}", "cameras")}
       WHERE r.uuid = $1 ${LIVE} FOR NO KEY UPDATE OF p`,
      [uuid],
    );
    if (!rows.length) return [404, { error: "Camera not found" }];
    const before = await camera(client, uuid);
    const changed = WRITABLE.filter(
      (name) => name in request.body && request.body[name] !== before[name],
    );
    if (!changed.length) return [200, before];
    const version = before.version + 1;
    const stamps = {};
    const changes = {};
    for (const name of changed) {
      stamps[name] = { version, updatedAt: new Date() };
      changes[name] = [before[name], request.body[name]];
    }
    const sets = changed.map((name, place) => `${column(name)} = $${place + 4}`).join(", ");
    await query(
      `update ${changed.join(" ")}`,
      `UPDATE cameras SET ${sets}, version = $2, updated_at = statement_timestamp(),
       field_versions = coalesce(field_versions, '{}') || $3 WHERE uuid = $1`,
      [uuid, version, stamps, ...changed.map((name) => request.body[name])],
    );
    return [200, await log(query, client, rows[0].uuid, uuid, "UPDATE", changes)];
  });
  response.status(status).json(body);
});

const server = app.listen(Number(process.env.PORT), process.env.HOST);
server.keepAliveTimeout = 75_000;
process.on("SIGTERM", () => process.exit(0));
