/* Failpoints: the text of the variable, every n-th answer, the end of the process. */
#include "base/failpoint.h"

#include "cmocka_all.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void clear(void)
{
    memset(failpoints, 0, sizeof(failpoints));
}

static void test_off(void **state)
{
    (void)state;
    clear();
    assert_null(failpoint_configure(""));
    for (int fp = 0; fp < FP_COUNT; fp++) {
        assert_false(failpoint((enum failpoint)fp));
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"nowhere=kill:1",
                                      "shard.write",
                                      "shard.write=",
                                      "shard.write=kill:0",
                                      "shard.write=x:1",
                                      "shard.write=kill:1x",
                                      "shard.write=lose:-1",
                                      "coordinator.told=lose:2",
                                      "shard.write=delay:2",
                                      "disk.sync=lose:2",
                                      "disk.sync=dela:2",
                                      "@/no/such/file",
                                      "shard.write=kill:99999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        clear();
        struct status *st = failpoint_load(bad[i]);
        assert_non_null(st);
        assert_int_equal(st->code, STATUS_INVALID);
        status_free(st);
    }
}

static void test_lose(void **state)
{
    (void)state;
    clear();
    assert_null(failpoint_configure("shard.prepare=lose:3,shard.write=lose:1"));
    for (int i = 1; i <= 9; i++) {
        assert_int_equal(failpoint(FP_SHARD_PREPARE), i % 3 == 0);
        assert_true(failpoint(FP_SHARD_WRITE));
        assert_false(failpoint(FP_SHARD_COMMIT));
    }
}

/* A file that is read again: what it no longer names is off. */
static void test_file(void **state)
{
    (void)state;
    char path[] = "/tmp/test_failpoint.XXXXXX", value[64];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    snprintf(value, sizeof(value), "@%s", path);
    static const char text[] = "shard.write=lose:1,disk.sync=delay:3\n";
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_null(failpoint_load(value));
    assert_true(failpoint(FP_SHARD_WRITE));
    assert_int_equal(failpoints[FP_DISK_SYNC].delay_ms, 3);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    failpoint_delay(FP_DISK_SYNC);
    clock_gettime(CLOCK_MONOTONIC, &b);
    assert_true((b.tv_sec - a.tv_sec) * 1000000000 + (b.tv_nsec - a.tv_nsec) >= 3000000);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_null(failpoint_load(value));
    assert_false(failpoint(FP_SHARD_WRITE));
    assert_int_equal(failpoints[FP_DISK_SYNC].delay_ms, 0);
    close(fd);
    unlink(path);
}

static void test_kill(void **state)
{
    (void)state;
    clear();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        status_consume(failpoint_configure("coordinator.prepared=kill:3"));
        failpoint(FP_COORDINATOR_PREPARED);
        failpoint(FP_COORDINATOR_PREPARED);
        failpoint(FP_COORDINATOR_TOLD);
        int hits = 2;
        failpoint(FP_COORDINATOR_PREPARED);
        _exit(hits);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off),  cmocka_unit_test(test_refused), cmocka_unit_test(test_lose),
        cmocka_unit_test(test_file), cmocka_unit_test(test_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
