/* sherd: the command line. Finds the command, prints the manuals, says what went wrong. */
#include "cli.h"

#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const char *summary;
    const char *text;
} manual[] = {
    {"sql", "SQL shell, or statements from the command line or a file",
     "usage: sherd sql [options]\n"
     "\n"
     "Runs SQL on a cluster through any of its nodes. Without -c and -f it reads statements from "
     "the\n"
     "terminal (\\? lists the shell's commands) or from standard input.\n"
     "\n"
     "  -h HOST        node to connect to (default 127.0.0.1); several, separated by commas, are\n"
     "                 tried in turn; HOST:PORT is possible\n"
     "  -p PORT        its gRPC port (default 7433)\n"
     "  -d DATABASE    default sherd\n"
     "  -U USER        default sherd\n"
     "  -W             ask for the password; without it $SHERD_PASSWORD is sent, if it is set\n"
     "  -c SQL         run this and end; may be repeated\n"
     "  -f FILE        run this file and end (- is standard input); may be repeated\n"
     "  -1             run all of -c and -f as one transaction\n"
     "  -v NAME=VALUE  set a variable; ON_ERROR_STOP=1: a failing statement ends a script\n"
     "  -A             unaligned output      -t  rows only, no titles, no counts\n"
     "  -F SEPARATOR   of unaligned output   -x  one line for each column\n"
     "  -q             do not print what statements without rows have done\n"
     "  --help         this text\n"
     "\n"
     "exit codes: 0 well; 1 a statement of -c failed or a file is missing; 2 no connection or "
     "wrong\n"
     "arguments; 3 a script ended at a failing statement (ON_ERROR_STOP)\n"},
    {"status", "nodes, shards, leaders and lag of a cluster",
     "usage: sherd status [-h HOST] [-p PORT] [--json]\n"
     "\n"
     "Asks any node of the cluster (default 127.0.0.1, gRPC port 7433).\n"
     "\n"
     "  --json   the same as one JSON object\n"
     "  --help   this text\n"
     "\n"
     "Nodes: STATE is up when the metadata leader has heard of the node lately; SILENT is since "
     "when\n"
     "it has not; SHARDS and LEADS count its replicas and the groups that it leads. Shards: the "
     "range\n"
     "of keys in hexadecimal, the leading node, the nodes that have a replica, LAG = log entries "
     "that\n"
     "the slowest live replica has yet to apply.\n"
     "\n"
     "exit codes: 0 well; 1 the node answered with an error; 2 no connection or wrong arguments\n"},
    {"local", "a cluster on this machine: up, status, down, kill, start",
     "usage: sherd local up [--nodes N] [--dir DIR] [--sql-port P]\n"
     "       sherd local status [--dir DIR]\n"
     "       sherd local down [--dir DIR]\n"
     "       sherd local kill N [--dir DIR]\n"
     "       sherd local start N [--dir DIR]\n"
     "\n"
     "A cluster of N server processes on loopback, for development and to try things out.\n"
     "\n"
     "  up        starts it, or what of it is not running; comes back when it answers\n"
     "  status    its nodes: process, ports, what they lead\n"
     "  down      stops it (SIGTERM, after 10 s SIGKILL); the data stays, up goes on with it\n"
     "  kill N    ends node N as a crash would (SIGKILL)\n"
     "  start N   starts node N again\n"
     "\n"
     "  --nodes N      default 3, at most 16; fixed by the first up\n"
     "  --dir DIR      default ~/.sherd/local; it may be moved while the cluster is down\n"
     "  --sql-port P   default 7432; node i listens on P+10(i-1) for PostgreSQL clients, on the "
     "three\n"
     "                 ports after it for gRPC, Raft and HTTP; fixed by the first up\n"
     "  --help         this text\n"
     "\n"
     "The server is $SHERDD, else the sherdd beside this program, else the one in PATH. User "
     "sherd,\n"
     "database sherd, no password. Each node has its own folder in DIR, with sherd.yaml, data and "
     "log.\n"
     "\n"
     "exit codes: 0 well; 1 it failed, the message says why; 2 wrong arguments\n"},
    {"version", "the version of this program", "usage: sherd version\n"},
    {"help", "this list, or the manual of a command", "usage: sherd help [COMMAND]\n"},
};

#define MANUAL_COUNT (sizeof(manual) / sizeof(manual[0]))

static void print_overview(FILE *out)
{
    (void)fprintf(out, "usage: sherd COMMAND [arguments]\n\n");
    for (size_t i = 0; i < MANUAL_COUNT; i++) {
        (void)fprintf(out, "  %-9s %s\n", manual[i].name, manual[i].summary);
    }
    (void)fprintf(out, "\n\"sherd help COMMAND\" or \"sherd COMMAND --help\" tells more.\n");
}

bool help_print(FILE *out, const char *command)
{
    for (size_t i = 0; i < MANUAL_COUNT; i++) {
        if (strcmp(manual[i].name, command) == 0) {
            (void)fputs(manual[i].text, out);
            return true;
        }
    }
    return false;
}

int usage_error(const char *command, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fputs("sherd: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fprintf(stderr, "\nTry \"sherd%s%s --help\".\n", command == NULL ? "" : " ",
                  command == NULL ? "" : command);
    return EXIT_USAGE;
}

int report(struct status *st, int code)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "sherd: %s\n", st->message);
    if (st->detail != NULL) {
        (void)fprintf(stderr, "DETAIL:  %s\n", st->detail);
    }
    if (st->hint != NULL) {
        (void)fprintf(stderr, "HINT:  %s\n", st->hint);
    }
    status_free(st);
    return code;
}

bool parse_number(const char *s, long min, long max, long *out)
{
    char *end;
    long v = strtol(s, &end, 10);
    if (*s == '\0' || *end != '\0' || v < min || v > max) {
        return false;
    }
    *out = v;
    return true;
}

bool parse_port(const char *s, uint16_t *out)
{
    long v;
    if (!parse_number(s, 1, 65535, &v)) {
        return false;
    }
    *out = (uint16_t)v;
    return true;
}

static int command_version(void)
{
    printf("sherd %s\n", sherd_version());
    return EXIT_OK;
}

static int command_help(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stdout);
        return EXIT_OK;
    }
    return help_print(stdout, argv[1]) ? EXIT_OK
                                       : usage_error(NULL, "there is no command \"%s\"", argv[1]);
}

int main(int argc, char **argv)
{
    (void)setlocale(LC_ALL, "");
    (void)setlocale(LC_NUMERIC, "C");
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    argc--;
    argv++;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 && help_print(stdout, name)) {
            return EXIT_OK;
        }
        if (strcmp(argv[i], "--") == 0) {
            break;
        }
    }
    if (strcmp(name, "sql") == 0) {
        return command_sql(argc, argv);
    }
    if (strcmp(name, "status") == 0) {
        return command_status(argc, argv);
    }
    if (strcmp(name, "local") == 0) {
        return command_local(argc, argv);
    }
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        return command_version();
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        return command_help(argc, argv);
    }
    return usage_error(NULL, "there is no command \"%s\"", name);
}
