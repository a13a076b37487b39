// node-postgres against sherd: node node_test.js HOST PORT (NODE_PATH names where the package pg is).
'use strict';
const assert = require('assert');
const { Client, Pool } = require('pg');

const config = { host: process.argv[2], port: Number(process.argv[3]), user: 'sherd', database: 'sherd' };

async function fails(state, promise) {
  try {
    await promise;
  } catch (e) {
    assert.strictEqual(e.code, state, e.message);
    return e;
  }
  throw new Error('no error');
}

const tests = {
  async queries(c) {
    await c.query('DROP TABLE IF EXISTS node_t');
    await c.query('CREATE TABLE node_t (a serial PRIMARY KEY, b text NOT NULL, n numeric(10,2), j int[], ts timestamptz, ok bool)');
    const inserted = await c.query('INSERT INTO node_t (b, n, j, ts, ok) VALUES ($1, $2, $3, $4, $5) RETURNING *',
      ['x', '12.50', [1, null, 3], new Date(1700000000123), true]);
    assert.strictEqual(inserted.rowCount, 1);
    assert.deepStrictEqual(inserted.rows[0], { a: 1, b: 'x', n: '12.50', j: [1, null, 3], ts: new Date(1700000000123), ok: true });
    const empty = await c.query('SELECT * FROM node_t WHERE b = $1', ['nothing']);
    assert.strictEqual(empty.rowCount, 0);
    assert.deepStrictEqual(empty.fields.map((f) => f.name), ['a', 'b', 'n', 'j', 'ts', 'ok']);
    const both = await c.query('SELECT 1 AS one; SELECT 2 AS two');
    assert.deepStrictEqual(both.map((r) => r.rows[0]), [{ one: 1 }, { two: 2 }]);
    const array = await c.query({ text: 'SELECT a, b FROM node_t', rowMode: 'array' });
    assert.deepStrictEqual(array.rows, [[1, 'x']]);
  },

  async prepared(c) {
    for (let i = 0; i < 20; i++) {
      const r = await c.query({ name: 'sum', text: 'SELECT $1::int + $2::int AS s', values: [i, 1] });
      assert.strictEqual(r.rows[0].s, i + 1);
    }
    const r = await c.query({ text: 'SELECT $1::int8 AS big, $2::bytea AS b, $3::float8 AS f', values: ['9007199254740993', Buffer.from([0, 255]), 1.5] });
    assert.strictEqual(r.rows[0].big, '9007199254740993');
    assert.strictEqual(r.rows[0].f, 1.5);
    assert.deepStrictEqual(r.rows[0].b, Buffer.from([0, 255]));
  },

  async transactions(c) {
    await c.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
    await c.query("INSERT INTO node_t (b) VALUES ('rolled back')");
    await c.query('SAVEPOINT s');
    await fails('23505', c.query("INSERT INTO node_t (a, b) VALUES (1, 'dup')"));
    await fails('25P02', c.query('SELECT 1'));
    await c.query('ROLLBACK TO s');
    await c.query('ROLLBACK');
    assert.strictEqual((await c.query('SELECT count(*)::int AS n FROM node_t')).rows[0].n, 1);
  },

  async errors(c) {
    const e = await fails('23502', c.query('INSERT INTO node_t (n) VALUES (1)'));
    assert.strictEqual(e.column, 'b');
    assert.strictEqual(e.table, 'node_t');
    await fails('42P01', c.query('SELECT * FROM nowhere'));
    await fails('22P02', c.query('SELECT $1::int', ['abc']));
    assert.strictEqual((await c.query('SELECT 1 AS a')).rows[0].a, 1);
  },

  async pool() {
    const pool = new Pool({ ...config, max: 8 });
    const rows = await Promise.all([...Array(200).keys()].map((i) => pool.query('SELECT $1::int AS i', [i])));
    assert.deepStrictEqual(rows.map((r) => r.rows[0].i), [...Array(200).keys()]);
    await pool.end();
  },

  async notices(c) {
    const seen = [];
    c.on('notice', (n) => seen.push(n.message));
    await c.query('DROP TABLE IF EXISTS node_no_such');
    assert.deepStrictEqual(seen, ['table "node_no_such" does not exist, skipping']);
  },
};

(async () => {
  let failed = 0;
  for (const [name, test] of Object.entries(tests)) {
    const c = new Client(config);
    try {
      await c.connect();
      await test(c);
      console.log(`ok ${name}`);
    } catch (e) {
      failed++;
      console.log(`FAILED ${name}: ${e.stack}`);
    }
    await c.end();
  }
  process.exit(failed ? 1 : 0);
})();
