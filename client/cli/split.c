/*
 * Statements end at ';' outside of quotes, dollar quotes, comments and parentheses: the lexical
 * rules of PostgreSQL, as far as they matter for that. Text arrives line by line; the state carries
 * over.
 */
#include "cli.h"

#include <ctype.h>
#include <string.h>

enum { PLAIN, SINGLE, ESCAPED, DOUBLE, LINE_COMMENT, BLOCK_COMMENT, DOLLAR };

void splitter_reset(struct splitter *sp)
{
    memset(sp, 0, sizeof(*sp));
}

bool splitter_is_idle(const struct splitter *sp)
{
    return sp->state == PLAIN && sp->paren_depth == 0 && !sp->has_text;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* The length of "$tag$" at s, or 0. */
static size_t dollar_tag(const char *s, size_t len)
{
    size_t i = 1;
    if (i < len && isdigit((unsigned char)s[i])) {
        return 0; /* a parameter */
    }
    while (i < len && s[i] != '$' && is_word(s[i])) {
        i++;
    }
    return i < len && s[i] == '$' && i + 1 < sizeof(((struct splitter *)0)->dollar_tag) ? i + 1 : 0;
}

/* One step outside of everything. Returns how many characters it took. */
static size_t step_plain(struct splitter *sp, const char *s, size_t i, size_t len)
{
    char c = s[i];
    char next = i + 1 < len ? s[i + 1] : '\0';
    bool after_word = i > 0 && is_word(s[i - 1]);
    if (c == '-' && next == '-') {
        sp->state = LINE_COMMENT;
        return 2;
    }
    if (c == '/' && next == '*') {
        sp->state = BLOCK_COMMENT;
        sp->comment_depth = 1;
        return 2;
    }
    if (isspace((unsigned char)c)) {
        return 1;
    }
    sp->has_text = true;
    if (c == '\'') {
        bool is_escaped =
            i > 0 && (s[i - 1] == 'e' || s[i - 1] == 'E') && (i < 2 || !is_word(s[i - 2]));
        sp->state = is_escaped ? ESCAPED : SINGLE;
    } else if (c == '"') {
        sp->state = DOUBLE;
    } else if (c == '(') {
        sp->paren_depth++;
    } else if (c == ')' && sp->paren_depth > 0) {
        sp->paren_depth--;
    } else if (c == '$' && !after_word) {
        size_t tag = dollar_tag(s + i, len - i);
        if (tag > 0) {
            memcpy(sp->dollar_tag, s + i, tag);
            sp->dollar_tag[tag] = '\0';
            sp->state = DOLLAR;
            return tag;
        }
    }
    return 1;
}

static size_t step_block_comment(struct splitter *sp, const char *s, size_t i, size_t len)
{
    char next = i + 1 < len ? s[i + 1] : '\0';
    if (s[i] == '/' && next == '*') {
        sp->comment_depth++;
        return 2;
    }
    if (s[i] == '*' && next == '/') {
        if (--sp->comment_depth == 0) {
            sp->state = PLAIN;
        }
        return 2;
    }
    return 1;
}

static size_t step_dollar(struct splitter *sp, const char *s, size_t i, size_t len)
{
    size_t tag = strlen(sp->dollar_tag);
    if (len - i >= tag && memcmp(s + i, sp->dollar_tag, tag) == 0) {
        sp->state = PLAIN;
        return tag;
    }
    return 1;
}

size_t split_statement(struct splitter *sp, const char *s, size_t len)
{
    size_t i = 0;
    while (i < len) {
        char c = s[i];
        switch (sp->state) {
        case PLAIN:
            if (c == ';' && sp->paren_depth == 0) {
                return i + 1;
            }
            i += step_plain(sp, s, i, len);
            break;
        case SINGLE:
        case DOUBLE: /* a doubled quote ends and begins again, which comes to the same */
            if (c == (sp->state == SINGLE ? '\'' : '"')) {
                sp->state = PLAIN;
            }
            i++;
            break;
        case ESCAPED:
            if (c == '\'') {
                sp->state = PLAIN;
            }
            i += c == '\\' ? 2 : 1;
            break;
        case LINE_COMMENT:
            if (c == '\n') {
                sp->state = PLAIN;
            }
            i++;
            break;
        case BLOCK_COMMENT:
            i += step_block_comment(sp, s, i, len);
            break;
        default:
            i += step_dollar(sp, s, i, len);
        }
    }
    return 0;
}
