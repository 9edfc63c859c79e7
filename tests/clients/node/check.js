// node-postgres: what web services and dashboards in JavaScript use.
'use strict';
const assert = require('node:assert/strict');
const { Client, Pool, types } = require('pg');

const sandbox = async (method, path, body) => {
  const answer = await fetch(process.env.AWORK_SANDBOX + path, { method, body: body && JSON.stringify(body) });
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
};
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function equal(what, found, expected) {
  assert.deepEqual(found, expected, what);
  console.log(`ok ${what}`);
}

async function tables(client) {
  const listed = await client.query(
    `SELECT table_name::text, table_type::text, obj_description(format('%I.%I', table_schema, table_name)::regclass) AS comment
     FROM information_schema.tables WHERE table_schema = 'awork' ORDER BY 1`);
  const foreign = listed.rows.filter((row) => row.table_type === 'FOREIGN');
  const expected = await client.query(
    `SELECT DISTINCT table_name, 'FOREIGN' AS table_type, table_comment AS comment FROM awork_fdw_catalog ORDER BY 1`);
  equal('information_schema has the tables, and they have comments', foreign, expected.rows);
}

async function parameters(client) {
  // As text, whatever JavaScript makes of it: a Date has milliseconds only, and a day no zone.
  const parameter = async (table, column, condition, convert = (text) => text) => {
    const values = await client.query(
      `SELECT v::text FROM (SELECT DISTINCT ${column} AS v FROM copy.${table}) AS d
       WHERE v IS NOT NULL ORDER BY md5(v::text) LIMIT 7`);
    let found = 0;
    for (const { v } of values.rows) {
      const ask = (schema) => client.query({
        name: `${schema} ${table} ${condition}`,
        text: `SELECT id, ${column}::text FROM ${schema}.${table} WHERE ${condition} ORDER BY id`,
        values: [convert(v)],
      });
      const { rows } = await ask('awork');
      assert.deepEqual(rows, (await ask('copy')).rows, `${condition} with ${v}`);
      found += rows.length;
    }
    equal(condition, found > 0, true);
  };
  await parameter('time_entries', 'project_id', 'project_id = $1');
  await parameter('projects', 'name', 'name = $1');
  await parameter('time_entries', 'duration', 'duration = $1', Number);
  await parameter('tasks', 'resource_version', 'resource_version = $1', BigInt);
  await parameter('tasks', 'subtask_order', 'subtask_order <= $1', Number);
  await parameter('time_entries', '(duration / 60.0)', 'duration / 60.0 >= $1');
  await parameter('time_entries', 'is_billable', 'is_billable = $1', (text) => text === 'true');
  await parameter('time_bookings', 'start_date', 'start_date >= $1');
  await parameter('time_entries', 'start_date_local', 'start_date_local < $1');
  await parameter('time_entries', 'created_on', 'created_on >= $1', (text) => new Date(text));
  await parameter('time_entries', 'start_time_local', 'start_time_local = $1');
  await parameter('projects', 'tags', 'tags = $1');

  for (const [type, table, column, parse] of [
    ['uuid', 'time_entries', 'project_id', String], ['text', 'tasks', 'task_status_type', String],
    ['integer', 'time_entries', 'duration', Number], ['timestamp', 'time_entries', 'start_date_local', String]]) {
    const values = await client.query(`SELECT DISTINCT ${column}::text AS v FROM copy.${table} ORDER BY 1 LIMIT 3`);
    const array = values.rows.map((row) => parse(row.v));
    const [found, expected] = await Promise.all(['awork', 'copy'].map((schema) => client.query(
      `SELECT id FROM ${schema}.${table} WHERE ${column} = ANY ($1) ORDER BY id`, [array])));
    equal(`= ANY with an array of ${type}`, found.rows, expected.rows);
  }
}

async function values(client) {
  const query = 'SELECT * FROM awork.tasks ORDER BY id LIMIT 50';
  const copied = (await client.query('SELECT * FROM copy.tasks ORDER BY id LIMIT 50')).rows;
  const read = (await client.query(query)).rows;
  equal('values are those of the copy', read, copied);
  equal('a bigint is a string, which keeps all digits', typeof read[0].resource_version, 'string');
  const types64 = { getTypeParser: (oid, format) => (oid === 20 ? BigInt : types.getTypeParser(oid, format)) };
  const exact = await client.query({ text: query, types: types64 });
  equal('a parser of types makes it a BigInt', exact.rows[0].resource_version, BigInt(copied[0].resource_version));
}

async function batches(client) {
  const expected = (await client.query('SELECT id FROM copy.time_entries ORDER BY 1')).rows;
  const read = async (most) => {
    await sandbox('DELETE', '/log');
    await client.query('BEGIN');
    await client.query('DECLARE entries CURSOR FOR SELECT id FROM awork.time_entries');
    const rows = [];
    for (;;) {
      const batch = (await client.query('FETCH 50 FROM entries')).rows;
      rows.push(...batch);
      if (batch.length === 0 || rows.length >= most) break;
    }
    await client.query('COMMIT');
    return [rows, (await sandbox('GET', '/log')).length];
  };
  const [rows, pages] = await read(Infinity);
  equal('rows that are fetched in batches are all the rows', rows.sort((a, b) => (a.id < b.id ? -1 : 1)), expected);
  const [, fewer] = await read(50);
  equal('a cursor that is closed early leaves pages unread', fewer > 0 && fewer < pages / 2, true);
}

async function cancel(client) {
  await sandbox('POST', '/faults', { path: '/timeentries', kind: 'latency', ms: 20000 });
  const canceller = new Client();
  await canceller.connect();
  const { rows: [{ pid }] } = await client.query('SELECT pg_backend_pid() AS pid');
  const statement = client.query('SELECT id FROM awork.time_entries').then(() => 'no error', (error) => error.code);
  await pause(500);
  const sent = performance.now();
  await canceller.query('SELECT pg_cancel_backend($1)', [pid]);
  equal('pg_cancel_backend ends the statement', await statement, '57014');
  equal('it does so within a second', performance.now() - sent < 1000, true);
  await nothingRuns(canceller, 'a cancel');

  const impatient = new Client({ statement_timeout: 700 });
  await impatient.connect();
  const started = performance.now();
  equal('statement_timeout ends the statement',
    await impatient.query('SELECT id FROM awork.time_entries').then(() => 'no error', (error) => error.code), '57014');
  equal('it does so within a second of its time', performance.now() - started < 1700, true);
  await impatient.end();
  await nothingRuns(canceller, 'a timeout');
  await canceller.end();
  await sandbox('DELETE', '/faults');
}

async function nothingRuns(client, after) {
  let runs = true;
  for (let i = 0; runs && i < 50; i += 1) {
    await pause(20);
    runs = (await sandbox('GET', '/log')).some((entry) => entry.finished === null);
  }
  equal(`no request is left after ${after}`, runs, false);
  const { rows } = await client.query(
    `SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()`);
  equal(`no statement is left after ${after}`, rows, []);
}

async function pool() {
  const clients = new Pool({ max: 4 });
  const ask = (schema) => clients.query(
    `SELECT is_billable, count(*), sum(duration) FROM ${schema}.time_entries GROUP BY 1 ORDER BY 1`);
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask('awork')));
  const expected = (await ask('copy')).rows;
  for (const answer of answers) assert.deepEqual(answer.rows, expected);
  equal('sessions of a pool answer side by side', answers.length, 8);
  await clients.end();
}

async function main() {
  const client = new Client();
  await client.connect();
  await tables(client);
  await parameters(client);
  await values(client);
  await batches(client);
  await cancel(client);
  await client.end();
  await pool();
}

main().catch((error) => {
  console.log(`not ok ${error.message}\n${error.stack}`);
  process.exit(1);
});
