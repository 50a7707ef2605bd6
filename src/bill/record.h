/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of records that the money log has, one canonical line each (tlog/record.h). `seq` is the record's index in
 * the log. What each field means: docs/design/money.md.
 *
 * Units: times are unix seconds, except begin, end, wall, unbilled, busy and conserved, which are us; quantities are
 * ppm*us; prices nano-units of the currency per GPU-hour, amounts nano-units. No number is below 0. */
#ifndef FG_BILL_RECORD_H
#define FG_BILL_RECORD_H

#include "sched/meter.h"
#include "tlog/record.h"

#define FG_BILL_FORMAT       1
#define FG_BILL_NAME_MAX     160u /* of any name of somebody or something, with its NUL */
#define FG_BILL_UUID_MAX     64u
#define FG_BILL_WORD_MAX     16u
#define FG_BILL_KEY_MAX      45u   /* base64 of 32 bytes */
#define FG_BILL_SEGMENTS_MAX 2560u /* 64 segments of at most 38 bytes */

enum fg_bill_type {
        FG_BILL_NODE,
        FG_BILL_PRICE,
        FG_BILL_WINDOW,
        FG_BILL_USAGE,
        FG_BILL_INVOICE,
        FG_BILL_GAP,
        FG_BILL_BUDGET,
        FG_BILL_TYPES
};

/* The first record: whose log it is, and the key that signs its checkpoints. */
struct fg_bill_node {
        int64_t seq, time;
        char node[FG_BILL_NAME_MAX];
        char key[FG_BILL_KEY_MAX];
        int64_t format;
};

/* One row of a list; all `rows` follow each other. "" in device, model and class is any; `until` 0 is open. */
struct fg_bill_price {
        int64_t seq, time, list, row, rows;
        char device[FG_BILL_UUID_MAX], model[FG_BILL_NAME_MAX], class[FG_BILL_WORD_MAX];
        int64_t from, until;
        char currency[FG_BILL_WORD_MAX];
        int64_t price;
};

/* A minute of a device; its `lines` usage records follow it. */
struct fg_bill_window {
        int64_t seq, start;
        char device[FG_BILL_UUID_MAX], model[FG_BILL_NAME_MAX];
        int64_t wall, beta, lines, idle;
        char boot[FG_BILL_UUID_MAX];
        int64_t unbilled;
};

/* A vGPU in it. `prev` is the seq of the project's usage record before this one, 0 for its first. No currency: no price
 * was in force. */
struct fg_bill_usage {
        int64_t seq, window, start, line, prev;
        char vgpu[FG_BILL_UUID_MAX], name[FG_BILL_NAME_MAX], project[FG_BILL_NAME_MAX], user[FG_BILL_NAME_MAX],
                job[FG_BILL_NAME_MAX];
        char mode[FG_BILL_WORD_MAX]; /* "cap": all segments are; else "share" */
        int64_t begin, end;
        char segments[FG_BILL_SEGMENTS_MAX]; /* "from:memory:share:cap|share:state;…" */
        int64_t busy, busy_cap, conserved, conserved_cap, reserved, burst, surcharge, unused, credit, rebate;
        char currency[FG_BILL_WORD_MAX];
        int64_t price;
};

/* `first`..`last`: the project's usage records that it covers, `records` of them. */
struct fg_bill_invoice {
        int64_t seq, time;
        char number[FG_BILL_NAME_MAX], project[FG_BILL_NAME_MAX];
        int64_t from, until;
        char currency[FG_BILL_WORD_MAX];
        int64_t lines, payable, first, last, records;
        char hash[65]; /* SHA-256 of the invoice's canonical text, hex */
};

/* Time that nobody metered, or that could not be put on record. "" in device: all of them. */
struct fg_bill_gap {
        int64_t seq, start, until;
        char device[FG_BILL_UUID_MAX], reason[FG_BILL_NAME_MAX];
};

/* What a project may spend in a month; 0 takes the limit away. */
struct fg_bill_budget {
        int64_t seq, time;
        char project[FG_BILL_NAME_MAX], currency[FG_BILL_WORD_MAX];
        int64_t amount;
        char on_limit[FG_BILL_WORD_MAX]; /* "suspend", "stop", "notify" */
};

/* About 4 KiB. `seq` is the first member of each. */
struct fg_bill_record {
        enum fg_bill_type type;
        union {
                int64_t seq;
                struct fg_bill_node node;
                struct fg_bill_price price;
                struct fg_bill_window window;
                struct fg_bill_usage usage;
                struct fg_bill_invoice invoice;
                struct fg_bill_gap gap;
                struct fg_bill_budget budget;
        };
};

const char *fg_bill_type_name(enum fg_bill_type type);

/* The one text of a record. What fg_tlog_record_end() fails with, and -EINVAL for a number below 0 or a word that is
 * not one of its field's. */
int fg_bill_write(const struct fg_bill_record *record, struct fg_tlog_record *ret, struct fg_error *err);

/* Strictly: exactly the fields of its type in their order, each within its bounds. -EBADMSG with the reason. What it
 * says may still be wrong: bill/books.h judges that. Touches *ret only on success. */
int fg_bill_read(const char *text, size_t size, struct fg_bill_record *ret, struct fg_error *err);

/* The segments of a line as text, and back. -EBADMSG: not in the one form; the line's other members are not touched. */
int fg_bill_segments_write(const struct fg_meter_line *line, char ret[FG_BILL_SEGMENTS_MAX]);
int fg_bill_segments_read(const char *text, struct fg_meter_line *ret);

/* "cap" if every segment of the line is, else "share": the class of its price. */
const char *fg_bill_mode(const struct fg_meter_line *line);

#endif
