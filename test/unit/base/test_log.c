/* The log: files, levels by component, rotation, JSON, refusal of bad settings. */
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

#include "cmocka_all.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/sherd-test-log-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    log_shutdown();
    char *command = mem_printf("rm -rf '%s'", dir);
    int rc = system(command);
    mem_free(command);
    return rc;
}

static void configure(const char *settings)
{
    char *path = NULL;
    if (settings != NULL) {
        path = mem_printf("%s/logger.yaml", dir);
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        fputs(settings, f);
        fclose(f);
    }
    char *logs = mem_printf("%s/deep/log", dir);
    struct status *st = log_configure(path, logs, "node1");
    if (st != NULL) {
        fail_msg("%s", st->message);
    }
    mem_free(logs);
    mem_free(path);
}

/* The file's text, "" when it is not there; lasts until the next call. */
static const char *read_log(const char *name)
{
    static char text[1 << 20];
    char *path = mem_printf("%s/deep/log/%s", dir, name);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    text[n] = '\0';
    if (f) {
        fclose(f);
    }
    mem_free(path);
    return text;
}

static void warnings_go_to_both_files(void **state)
{
    (void)state;
    configure(NULL);
    LOGD("raft", "not %s", "seen");
    LOGI("raft", "one %d", 1);
    LOGW("shard", "two");
    LOGE("shard", "three");
    assert_null(strstr(read_log("system.log"), "seen"));
    assert_non_null(strstr(read_log("system.log"), " INFO  node1 [raft] one 1\n"));
    assert_non_null(strstr(read_log("system.log"), " WARN  node1 [shard] two\n"));
    assert_non_null(strstr(read_log("error.log"), " ERROR node1 [shard] three\n"));
    assert_null(strstr(read_log("error.log"), "one"));
}

static void levels_differ_by_component(void **state)
{
    (void)state;
    configure("level: warn\ncomponents: {raft: debug, rpc: error}\nerror_log_level: error\n");
    assert_true(log_enabled("raft", LOG_DEBUG));
    assert_false(log_enabled("rpc", LOG_WARN));
    assert_true(log_enabled("rpc", LOG_ERROR));
    assert_false(log_enabled("other", LOG_INFO));
    assert_true(log_enabled("other", LOG_WARN));
    LOGW("other", "mild");
    assert_string_equal(read_log("error.log"), "");
    log_set_level(LOG_ERROR);
    assert_false(log_enabled("raft", LOG_WARN));
}

static void a_message_cannot_forge_a_line(void **state)
{
    (void)state;
    configure(NULL);
    LOGI("sql", "a\nb\x1b[0m");
    assert_non_null(strstr(read_log("system.log"), "a\\nb\\x1b[0m\n"));
}

static void json_lines_are_escaped(void **state)
{
    (void)state;
    configure("format: json\n");
    LOGI("sql", "say \"hi\" \\ \x01 \n");
    assert_non_null(strstr(read_log("system.log"),
                           "\",\"level\":\"INFO\",\"component\":\"sql\",\"node\":\"node1\","
                           "\"message\":\"say \\\"hi\\\" \\\\ \\u0001 \\n\"}\n"));
}

static void long_messages_are_whole(void **state)
{
    (void)state;
    configure(NULL);
    char *text = mem_zalloc(20001);
    memset(text, 'x', 20000);
    LOGI("sql", "%sEND", text);
    assert_non_null(strstr(read_log("system.log"), "xxxEND\n"));
    mem_free(text);
}

static void files_rotate_by_size_and_old_ones_go(void **state)
{
    (void)state;
    configure("rotate: {size: 2kB, keep: 2}\n");
    for (int i = 0; i < 100; i++) {
        LOGI("sql", "line number %03d of the test", i);
    }
    assert_non_null(strstr(read_log("system.log"), "number 099"));
    assert_true(strlen(read_log("system.log")) <= 2048);
    assert_true(strlen(read_log("system.log.1")) > 1500);
    assert_true(strlen(read_log("system.log.1")) <= 2048);
    assert_true(strlen(read_log("system.log.2")) > 1500);
    assert_string_equal(read_log("system.log.3"), "");
    assert_null(strstr(read_log("system.log.2"), "number 000"));
}

static void a_file_that_exists_is_continued(void **state)
{
    (void)state;
    configure(NULL);
    LOGI("sql", "first");
    log_shutdown();
    configure("rotate: {keep: 0}\n");
    LOGI("sql", "second");
    assert_non_null(strstr(read_log("system.log"), "first"));
    assert_non_null(strstr(read_log("system.log"), "second"));
}

enum { WRITERS = 3, LINES = 300 };

static void *writer_main(void *arg)
{
    for (int i = 0; i < LINES; i++) {
        LOGI("sql", "writer %s line %d", (const char *)arg, i);
    }
    return NULL;
}

/* Lines do not mix, and settings may change while others log. */
static void threads_may_log_while_settings_change(void **state)
{
    (void)state;
    configure("rotate: {size: 1MB}\n");
    pthread_t threads[WRITERS];
    static const char *const names[WRITERS] = {"a", "b", "c"};
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, writer_main, (void *)(uintptr_t)names[i]), 0);
    }
    for (int i = 0; i < 10; i++) {
        configure(i % 2 ? "rotate: {size: 1MB}\nlevel: debug\n" : NULL);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
    char *text = mem_strdup(read_log("system.log"));
    int count = 0;
    char *save = NULL;
    for (char *l = strtok_r(text, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save)) {
        assert_non_null(strstr(l, "node1 [sql] writer "));
        count++;
    }
    assert_int_equal(count, WRITERS * LINES);
    mem_free(text);
}

static void refuse(const char *settings, const char *expected)
{
    char *path = mem_printf("%s/logger.yaml", dir);
    FILE *f = fopen(path, "we");
    fputs(settings, f);
    fclose(f);
    struct status *st = log_configure(path, NULL, "n");
    assert_true(status_is(st, STATUS_INVALID));
    if (strstr(st->message, expected) == NULL) {
        fail_msg("expected: %s\ngot: %s", expected, st->message);
    }
    status_free(st);
    mem_free(path);
}

static void bad_settings_are_refused_with_their_line(void **state)
{
    (void)state;
    refuse("level: loud\n", "logger.yaml:1: \"level\" must be debug, info, warn or error, not");
    refuse("level: info\nformat: xml\n", "logger.yaml:2: \"format\" must be text or json");
    refuse("rotate:\n  size: 3TB\n", "logger.yaml:2: \"rotate.size\" must be a size in bytes");
    refuse("components:\n  raft: 7\n", "logger.yaml:2: \"components.raft\" must be");
    refuse("colour: red\n", "logger.yaml:1: unknown key \"colour\"");
    struct status *st = log_configure(NULL, "/dev/null/log", "n");
    assert_true(status_is(st, STATUS_IO));
    assert_non_null(strstr(st->message, "/dev/null"));
    status_free(st);
}

static void the_documented_sample_is_accepted(void **state)
{
    (void)state;
    assert_null(log_configure(SOURCE_DIR "/config/logger.yaml", NULL, "n"));
    assert_true(log_enabled("any", LOG_INFO));
    assert_false(log_enabled("any", LOG_DEBUG));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(warnings_go_to_both_files),         T(levels_differ_by_component),
        T(a_message_cannot_forge_a_line),     T(json_lines_are_escaped),
        T(long_messages_are_whole),           T(files_rotate_by_size_and_old_ones_go),
        T(a_file_that_exists_is_continued),   T(bad_settings_are_refused_with_their_line),
        T(the_documented_sample_is_accepted), T(threads_may_log_while_settings_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
