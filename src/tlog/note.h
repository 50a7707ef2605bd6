/* SPDX-License-Identifier: Apache-2.0
 * Signed notes (C2SP signed-note) with Ed25519 signatures: a text, an empty line, signatures. Of this room only. */
#ifndef FG_TLOG_NOTE_H
#define FG_TLOG_NOTE_H

#include "tlog/tlog.h"

#include <stdbool.h>

/* Can this stand as a key's name? Stricter than signed-note: printable ASCII, no space, no '+'. */
bool fg_tlog_note_is_name(const char *name, size_t size);

/* Writes the note of `text`, which ends with a newline. -EINVAL: no such text or name, or it would be too long. */
int fg_tlog_note_sign(const char *text, const char *name, const struct fg_tlog_key *key, char ret[FG_TLOG_NOTE_MAX]);

/* Checks the form of it all, whoever signed. *ret_text: size of the text, with its last newline. */
int fg_tlog_note_parse(const char *note, size_t size, size_t *ret_text, struct fg_error *err);

/* Of a note whose form is checked: did `name` sign its text with this key? -EKEYREJECTED: there is no such signature;
 * -EBADMSG: there is one, and it is wrong. */
int fg_tlog_note_check(const char *note, size_t size, size_t text, const char *name, const uint8_t public[32],
                       struct fg_error *err);

#endif
