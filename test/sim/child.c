/* See child.h. */
#include "child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static int tells_failure(const char *line)
{
    return strncmp(line, "FAILED", 6) == 0 || strncmp(line, "STUCK", 5) == 0 ||
           strstr(line, "FATAL") != NULL || strstr(line, "runtime error") != NULL ||
           strstr(line, "ERROR: AddressSanitizer") != NULL;
}

static void must(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        exit(2);
    }
}

int child_run(const struct child_run *r, char *text, size_t size)
{
    int ends[2], status;
    char line[512];
    fflush(stdout);
    must(pipe(ends) == 0, "pipe");
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        close(ends[0]);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        int code = r->body(r->ctx);
        fflush(stdout);
        _exit(code);
    }
    close(ends[1]);
    FILE *in = fdopen(ends[0], "r");
    must(in != NULL, "fdopen");
    while (fgets(line, sizeof(line), in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (r->on_line != NULL) {
            r->on_line(r->ctx, line);
        }
        if (tells_failure(line)) {
            snprintf(text, size, "%s", line);
        }
    }
    fclose(in);
    must(waitpid(pid, &status, 0) == pid, "waitpid");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
