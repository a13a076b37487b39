/* Asks for a password at the terminal, not at standard input: that may be a script. */
#include "sql.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <termios.h>

char *password_ask(const char *user)
{
    FILE *tty = fopen("/dev/tty", "r+e");
    struct termios was;
    if (tty == NULL || tcgetattr(fileno(tty), &was) != 0) {
        if (tty != NULL) {
            (void)fclose(tty);
        }
        return NULL;
    }
    struct termios quiet = was;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(fileno(tty), TCSAFLUSH, &quiet); /* before the prompt: it drops what was typed */
    (void)fprintf(tty, "Password for user %s: ", user);
    (void)fflush(tty);
    char *line = NULL;
    size_t cap = 0;
    ssize_t n = getline(&line, &cap, tty);
    (void)tcsetattr(fileno(tty), TCSAFLUSH, &was);
    (void)fputc('\n', tty);
    (void)fclose(tty);
    char *password = mem_strndup(line, n > 0 ? strcspn(line, "\r\n") : 0);
    if (line != NULL) {
        explicit_bzero(line, cap);
    }
    free(line);
    return password;
}

void password_forget(char *password)
{
    if (password != NULL) {
        explicit_bzero(password, strlen(password));
    }
    mem_free(password);
}
