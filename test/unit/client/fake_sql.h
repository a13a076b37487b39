/*
 * A Sql service that answers by rule instead of by database, on a thread of its own: what the SDK
 * and the command line are tested against. A statement is one of
 *
 *   SELECT n        n rows of two columns: i, "row i"; every seventh second column is NULL
 *   ECHO            one row with the parameters
 *   BEGIN COMMIT ROLLBACK SET ...   as they are
 *   FAIL state      an error with that SQLSTATE, detail, hint, position 6
 *   FLAKY n         40001 for the first n times that this server is asked, then a result
 *   NOTICE          a notice, then done
 *   WAIT            until cancelled
 *   MIDWAY n        n rows, then an error
 *
 * several separated by ';'. In a failed transaction all but ROLLBACK and COMMIT get 25P02.
 */
#ifndef TEST_FAKE_SQL_H
#define TEST_FAKE_SQL_H

#include <stdint.h>

struct fake_sql;

/* port 0 = any. */
struct fake_sql *fake_sql_start(uint16_t port);
void fake_sql_stop(struct fake_sql *s);
uint16_t fake_sql_port(const struct fake_sql *s);
/* Counters, from any thread. */
int fake_sql_sessions(struct fake_sql *s);   /* opened */
int fake_sql_statements(struct fake_sql *s); /* run */
int fake_sql_prepares(struct fake_sql *s);
/* Forgets all sessions. */
void fake_sql_forget(struct fake_sql *s);
/* Parks the caller until a WAIT has begun. */
void fake_sql_await_wait(struct fake_sql *s);

#endif
