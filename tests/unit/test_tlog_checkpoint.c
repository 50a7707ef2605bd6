/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "tlog/note.h"

#include <errno.h>

#define DASH   "\xe2\x80\x94"
#define ORIGIN "fastgpu/node-7"
#define ROOT   "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
#define SIGNED "\n" DASH " " ORIGIN " "

static struct fg_tlog_key key, other_key;

static int setup(void **state)
{
        uint8_t seed[32];
        for (uint8_t i = 0; i < 32; i++)
                seed[i] = i;
        fg_tlog_key_from_seed(seed, &key);
        seed[0] = 99;
        fg_tlog_key_from_seed(seed, &other_key);
        return 0;
}

static struct fg_tlog_checkpoint example(void)
{
        struct fg_tlog_checkpoint c = {.origin = ORIGIN, .size = 20852163, .time = 1767225600};
        assert_int_equal(fg_tlog_unbase64(ROOT, strlen(ROOT), c.root.byte, FG_TLOG_HASH), 0);
        return c;
}

static void sign_example(char note[FG_TLOG_NOTE_MAX])
{
        struct fg_tlog_checkpoint c = example();
        assert_int_equal(fg_tlog_sign(&c, &key, note), 0);
}

static int open_note(const char *note, size_t size)
{
        struct fg_error err = {0};
        struct fg_tlog_checkpoint c, untouched;
        memset(&c, 0x5a, sizeof(c));
        untouched = c;
        int r = fg_tlog_open(note, size, key.public, &c, &err);
        assert_int_equal(err.code, r);
        assert_int_equal(r == 0, err.text[0] == '\0');
        assert_true(r == 0 || memcmp(&c, &untouched, sizeof(c)) == 0);
        return r;
}

/* Signs any text, as an honest signer of nonsense would: what is refused then is refused for its form. */
static int open_signed(const char *text)
{
        char note[FG_TLOG_NOTE_MAX];
        assert_int_equal(fg_tlog_note_sign(text, ORIGIN, &key, note), 0);
        return open_note(note, strlen(note));
}

static void known_key(void **state)
{
        /* RFC 8032 7.1, test 1. */
        static const uint8_t seed[32] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
                                         0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
                                         0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
        static const uint8_t public[32] = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe,
                                           0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6,
                                           0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
        struct fg_tlog_key k;
        fg_tlog_key_from_seed(seed, &k);
        assert_memory_equal(k.seed, seed, 32);
        assert_memory_equal(k.public, public, 32);
        assert_memory_equal(k.secret, seed, 32);
        assert_memory_equal(k.secret + 32, public, 32);
}

/* The example of Go's golang.org/x/mod/sumdb/note, key and all: Ed25519 signs the same way everywhere. */
static void known_note(void **state)
{
        static const char text[] =
                "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        static const char signature[] =
                "\n" DASH
                " PeterNeumann "
                "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        char note[FG_TLOG_NOTE_MAX], expected[FG_TLOG_NOTE_MAX];
        uint8_t skey[33], vkey[33];
        struct fg_tlog_key peter;
        size_t size = 0;
        assert_int_equal(fg_tlog_unbase64("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz", 44, skey, 33), 0);
        assert_int_equal(fg_tlog_unbase64("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", 44, vkey, 33), 0);
        fg_tlog_key_from_seed(skey + 1, &peter);
        assert_memory_equal(peter.public, vkey + 1, 32);
        assert_int_equal(fg_tlog_note_sign(text, "PeterNeumann", &peter, note), 0);
        snprintf(expected, sizeof(expected), "%s%s", text, signature);
        assert_string_equal(note, expected);
        assert_int_equal(fg_tlog_note_parse(note, strlen(note), &size, NULL), 0);
        assert_int_equal(size, strlen(text));
        assert_int_equal(fg_tlog_note_check(note, strlen(note), size, "PeterNeumann", peter.public, NULL), 0);
}

/* Checkpoints that sum.golang.org signed; the second has a witness's signature too. Their origin is no name of a key,
 * so not ours. */
static void known_checkpoints(void **state)
{
        static const char *const note[] = {
                "go.sum database tree\n6476701\nmb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=\n\n" DASH
                " sum.golang.org "
                "Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4nPRYfvimWEPWL+o3GeoWwOoAw=\n",
                "go.sum database tree\n15067302\ngJyioq6dwR9n+NjEWORfYmH+ubeYm3kH42BBQ0bTpYI=\n\n" DASH
                " sum.golang.org "
                "Az3grp1rvWOs5NKlr/xR4GLN/CDyzzakmt1o61uSxYKpK1SerqOP2ClbX/peKUZjYnyomH5Xz7GZG3TpB7OeKn4E2ww=\n" DASH
                " test.example.com "
                "qTGhC/xIPQ0AXKHK6Y+9ypRfuvMZWPjRXM8NiOg5M1WREn07VQXyuIXM3NRNav3ieVFLUqDRK77PWDmL6w8w84UqeAw=\n",
        };
        uint8_t vkey[33];
        assert_int_equal(fg_tlog_unbase64("Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", 44, vkey, 33), 0);
        for (size_t i = 0; i < COUNT_OF(note); i++) {
                char changed[FG_TLOG_NOTE_MAX];
                size_t text = 0, size = strlen(note[i]);
                struct fg_tlog_checkpoint c;
                assert_int_equal(fg_tlog_note_parse(note[i], size, &text, NULL), 0);
                assert_int_equal(fg_tlog_note_check(note[i], size, text, "sum.golang.org", vkey + 1, NULL), 0);
                assert_int_equal(fg_tlog_note_check(note[i], size, text, "sum.golang.org", key.public, NULL),
                                 -EKEYREJECTED);
                assert_int_equal(fg_tlog_note_check(note[i], size, text, "sum.golang.com", vkey + 1, NULL),
                                 -EKEYREJECTED);
                strcpy(changed, note[i]);
                changed[22]++;
                assert_int_equal(fg_tlog_note_check(changed, size, text, "sum.golang.org", vkey + 1, NULL), -EBADMSG);
                assert_int_equal(fg_tlog_parse(note[i], size, &c, NULL), -EBADMSG);
        }
}

static void form(void **state)
{
        char note[FG_TLOG_NOTE_MAX], again[FG_TLOG_NOTE_MAX];
        static const char text[] = ORIGIN "\n20852163\n" ROOT "\ntime 1767225600\n" SIGNED;
        sign_example(note);
        sign_example(again);
        assert_string_equal(note, again);
        assert_memory_equal(note, text, strlen(text));
        assert_int_equal(strlen(note), strlen(text) + 92 + 1);
}

static void check_round_trip(const struct fg_tlog_checkpoint *c)
{
        char note[FG_TLOG_NOTE_MAX];
        struct fg_tlog_checkpoint parsed, opened;
        struct fg_error err = {.code = 77};
        assert_int_equal(fg_tlog_sign(c, &key, note), 0);
        assert_int_equal(fg_tlog_parse(note, strlen(note), &parsed, &err), 0);
        assert_int_equal(fg_tlog_open(note, strlen(note), key.public, &opened, &err), 0);
        assert_memory_equal(&parsed, c, sizeof(*c));
        assert_memory_equal(&opened, c, sizeof(*c));
        assert_int_equal(err.code, 77);
        assert_int_equal(fg_tlog_open(note, strlen(note), other_key.public, &opened, NULL), -EKEYREJECTED);
}

static void round_trips(void **state)
{
        struct fg_tlog_checkpoint c = example();
        check_round_trip(&c);
        c.time = 0;
        check_round_trip(&c);
        c.time = INT64_MAX, c.size = FG_TLOG_SIZE_MAX;
        check_round_trip(&c);
        c.time = 1, c.size = 0;
        check_round_trip(&c);
        memset(c.origin, '~', FG_TLOG_NAME_MAX - 1);
        check_round_trip(&c);
        memset(&c.origin, 0, sizeof(c.origin));
        strcpy(c.origin, "!");
        check_round_trip(&c);
}

static void cannot_be_signed(void **state)
{
        static const char *const origin[] = {"", "a b", "a+b", "a\nb", "a\tb", "caf\xc3\xa9", "\x7f", "\xff"};
        char note[FG_TLOG_NOTE_MAX] = "untouched";
        struct fg_tlog_checkpoint c = example();
        c.size = (uint64_t)FG_TLOG_SIZE_MAX + 1;
        assert_int_equal(fg_tlog_sign(&c, &key, note), -EINVAL);
        c = example(), c.time = -1;
        assert_int_equal(fg_tlog_sign(&c, &key, note), -EINVAL);
        c = example(), memset(c.origin, 'a', sizeof(c.origin)); /* no NUL */
        assert_int_equal(fg_tlog_sign(&c, &key, note), -EINVAL);
        for (size_t i = 0; i < COUNT_OF(origin); i++) {
                c = example(), strcpy(c.origin, origin[i]);
                assert_int_equal(fg_tlog_sign(&c, &key, note), -EINVAL);
        }
        assert_string_equal(note, "untouched");
}

static void every_byte_counts(void **state)
{
        char note[FG_TLOG_NOTE_MAX];
        sign_example(note);
        size_t size = strlen(note);
        assert_int_equal(open_note(note, size), 0);
        for (size_t i = 0; i < size; i++) {
                char right = note[i];
                for (int c = 0; c < 256; c++) {
                        note[i] = (char)c;
                        int r = open_note(note, size);
                        if (note[i] != right && r != -EBADMSG && r != -EKEYREJECTED)
                                fail_msg("byte %zu as 0x%02x: %d", i, (unsigned)c, r);
                }
                note[i] = right;
        }
}

/* One character that a lenient decoder takes for two: an e with an acute accent is 0xc3 0xa9. */
static void other_letters_in_base64(void **state)
{
        char note[FG_TLOG_NOTE_MAX];
        struct fg_tlog_checkpoint c = example();
        unsigned in_root = 0, in_signature = 0;
        for (c.size = 0; c.size < 4000; c.size++) {
                memcpy(c.root.byte, &(uint64_t){c.size * 0x9e3779b97f4a7c15u}, 8);
                assert_int_equal(fg_tlog_sign(&c, &key, note), 0);
                char *slashes = strstr(note, "//");
                if (!slashes)
                        continue;
                *(slashes < strstr(note, "\n\n") ? &in_root : &in_signature) += 1;
                memcpy(slashes, "\xc3\xa9", 2);
                struct fg_tlog_checkpoint parsed;
                assert_int_equal(fg_tlog_parse(note, strlen(note), &parsed, NULL), -EBADMSG);
        }
        assert_true(in_root > 0 && in_signature > 0);
}

static void every_byte_is_needed(void **state)
{
        char note[FG_TLOG_NOTE_MAX], changed[FG_TLOG_NOTE_MAX];
        static const char extra[] = "\n\r\t 0=A+\xc2";
        sign_example(note);
        size_t size = strlen(note);
        for (size_t i = 0; i < size; i++) {
                assert_int_not_equal(open_note(note, i), 0); /* cut */
                memcpy(changed, note, size);
                memmove(changed + i, changed + i + 1, size - i);
                if (strcmp(changed, note) != 0)
                        assert_int_not_equal(open_note(changed, size - 1), 0);
        }
        for (size_t i = 0; i <= size; i++)
                for (size_t k = 0; k < sizeof(extra); k++) { /* with the NUL */
                        memcpy(changed, note, i);
                        changed[i] = extra[k];
                        memcpy(changed + i + 1, note + i, size - i);
                        if (open_note(changed, size + 1) == 0)
                                fail_msg("0x%02x at byte %zu", (unsigned)extra[k], i);
                }
}

static void refused_texts(void **state)
{
        static const char *const good[] = {
                ORIGIN "\n0\n" ROOT "\n",
                ORIGIN "\n9223372036854775807\n" ROOT "\n",
                ORIGIN "\n1\n" ROOT "\ntime 1\n",
                ORIGIN "\n1\n" ROOT "\nsomething else\n", /* an extension of a later version */
                ORIGIN "\n1\n" ROOT "\ntimes 1\ntime 5\ncaf\xc3\xa9 " DASH "\n",
        };
        static const char *const bad[] = {
                /* lines missing or empty */
                "\n",
                ORIGIN "\n",
                ORIGIN "\n1\n",
                ORIGIN "\n" ROOT "\n",
                "1\n" ROOT "\n",
                "\n1\n" ROOT "\n",
                ORIGIN "\n\n" ROOT "\n",
                ORIGIN "\n1\n\n",
                ORIGIN "\n1\n" ROOT "\n\n",
                ORIGIN "\n1\n" ROOT "\n\ntime 1\n",
                ORIGIN "\n1\n" ROOT "\ntime 1\n\nmore\n",
                /* another origin than the signer, or none that could be one */
                "fastgpu/node-8\n1\n" ROOT "\n",
                "go.sum database tree\n1\n" ROOT "\n",
                " " ORIGIN "\n1\n" ROOT "\n",
                /* sizes */
                ORIGIN "\n00\n" ROOT "\n",
                ORIGIN "\n01\n" ROOT "\n",
                ORIGIN "\n+1\n" ROOT "\n",
                ORIGIN "\n-1\n" ROOT "\n",
                ORIGIN "\n-0\n" ROOT "\n",
                ORIGIN "\n 1\n" ROOT "\n",
                ORIGIN "\n1 \n" ROOT "\n",
                ORIGIN "\n1.0\n" ROOT "\n",
                ORIGIN "\n0x1\n" ROOT "\n",
                ORIGIN "\n1e3\n" ROOT "\n",
                ORIGIN "\n9223372036854775808\n" ROOT "\n",
                ORIGIN "\n9999999999999999999\n" ROOT "\n",
                ORIGIN "\n18446744073709551615\n" ROOT "\n",
                ORIGIN "\n18446744073709551617\n" ROOT "\n",
                ORIGIN "\n99999999999999999999999999999999999999999\n" ROOT "\n",
                /* roots */
                ORIGIN "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n",
                ORIGIN "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n", /* a bit that no byte takes up */
                ORIGIN "\n1\nCsUYapGGPo4dkMgIAUqom_Xajj7h2fB2MPA3j2jxq2I=\n",
                ORIGIN "\n1\n" ROOT " \n",
                ORIGIN "\n1\n" ROOT ROOT "\n",
                ORIGIN "\n1\nAAAA\n",
                /* times */
                ORIGIN "\n1\n" ROOT "\ntime \n",
                ORIGIN "\n1\n" ROOT "\ntime 0\n",
                ORIGIN "\n1\n" ROOT "\ntime 01\n",
                ORIGIN "\n1\n" ROOT "\ntime -1\n",
                ORIGIN "\n1\n" ROOT "\ntime 1.5\n",
                ORIGIN "\n1\n" ROOT "\ntime 9223372036854775808\n",
                ORIGIN "\n1\n" ROOT "\ntime 1\ntime 2\n",
                ORIGIN "\n1\n" ROOT "\ntime 1\ntime 1\n",
                /* CRLF, other controls, no UTF-8 */
                ORIGIN "\r\n1\r\n" ROOT "\r\n",
                ORIGIN "\n1\r\n" ROOT "\n",
                ORIGIN "\n1\n" ROOT "\na\tb\n",
                ORIGIN "\n1\n" ROOT "\na\x01\n",
                ORIGIN "\n1\n" ROOT "\n\xff\n",
                ORIGIN "\n1\n" ROOT "\n\xed\xa0\x80\n",
        };
        for (size_t i = 0; i < COUNT_OF(good); i++)
                if (open_signed(good[i]) != 0)
                        fail_msg("good row %zu", i);
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
                int r = open_signed(bad[i]);
                /* The form of another's checkpoint may be right; it is not signed in its name. */
                if (r != -EBADMSG && !(r == -EKEYREJECTED && strncmp(bad[i], "fastgpu/node-8", 14) == 0))
                        fail_msg("bad row %zu: %d", i, r);
        }
}

/* An empty text, one whose end is missing or one too long cannot be signed either. */
static void refused_notes(void **state)
{
        static char text[FG_TLOG_NOTE_MAX + 100], note[FG_TLOG_NOTE_MAX];
        assert_int_equal(fg_tlog_note_sign("", ORIGIN, &key, note), -EINVAL);
        assert_int_equal(fg_tlog_note_sign("a", ORIGIN, &key, note), -EINVAL);
        assert_int_equal(fg_tlog_note_sign("a\n", "", &key, note), -EINVAL);
        assert_int_equal(fg_tlog_note_sign("a\n", "a b", &key, note), -EINVAL);
        size_t longest = FG_TLOG_NOTE_MAX - 1 - (strlen(SIGNED) + 92 + 1);
        memset(text, 'a', sizeof(text) - 1);
        text[longest] = '\n', text[longest + 1] = '\0';
        assert_int_equal(fg_tlog_note_sign(text, ORIGIN, &key, note), -EINVAL);
        text[longest - 1] = '\n', text[longest] = '\0';
        assert_int_equal(fg_tlog_note_sign(text, ORIGIN, &key, note), 0);
        assert_int_equal(strlen(note), FG_TLOG_NOTE_MAX - 1);
        static char longer[FG_TLOG_NOTE_MAX + 1] = "a";
        size_t size = 0;
        strcpy(longer + 1, note);
        assert_int_equal(fg_tlog_note_parse(longer + 1, FG_TLOG_NOTE_MAX - 1, &size, NULL), 0);
        assert_int_equal(size, longest);
        assert_int_equal(fg_tlog_note_parse(longer, FG_TLOG_NOTE_MAX, &size, NULL), -EBADMSG);
}

/* No signature is not a signature of nobody's: the form is wrong, whoever asks. */
static void unsigned_notes(void **state)
{
        char note[FG_TLOG_NOTE_MAX];
        struct fg_tlog_checkpoint c;
        sign_example(note);
        size_t text = (size_t)(strstr(note, "\n\n") + 1 - note);
        assert_int_equal(fg_tlog_parse(note, strlen(note), &c, NULL), 0);
        assert_int_equal(fg_tlog_parse(note, text, &c, NULL), -EBADMSG);
        assert_int_equal(fg_tlog_parse(note, text + 1, &c, NULL), -EBADMSG);
        assert_int_equal(fg_tlog_open(note, text + 1, key.public, &c, NULL), -EBADMSG);
}

static void too_long(void **state)
{
        static char note[2 * FG_TLOG_NOTE_MAX];
        struct fg_tlog_checkpoint c;
        struct fg_error err = {0};
        sign_example(note);
        for (size_t size = strlen(note); size < sizeof(note) - 200; size = strlen(note)) {
                assert_int_equal(open_note(note, size), size < FG_TLOG_NOTE_MAX ? 0 : -EBADMSG);
                strcat(note, DASH " witness.example/w1 qTGhC/xIPQ0AXKHK6Y+9ypRfuvMZWPjRXM8NiA==\n");
        }
        assert_int_equal(fg_tlog_parse(note, SIZE_MAX, &c, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "longer than 4095 bytes"));
        assert_int_equal(fg_tlog_parse(note, 0, &c, &err), -EBADMSG);
}

/* Sixteen signatures, the longest of names: signed-note wants them read. Ours is found wherever it is. */
static void among_witnesses(void **state)
{
        char plain[FG_TLOG_NOTE_MAX], note[FG_TLOG_NOTE_MAX], witness[256], name[FG_TLOG_NAME_MAX] = {0};
        uint8_t blob[76];
        char encoded[FG_TLOG_BASE64(sizeof(blob))];
        struct fg_tlog_checkpoint c = example();
        memset(name, 'w', sizeof(name) - 1);
        memcpy(c.origin, name, sizeof(name));
        memset(blob, 0x77, sizeof(blob));
        fg_tlog_base64(blob, sizeof(blob), encoded, sizeof(encoded));
        snprintf(witness, sizeof(witness), DASH " %s %s\n", name, encoded);
        assert_int_equal(fg_tlog_sign(&c, &key, plain), 0);
        size_t text = (size_t)(strstr(plain, "\n\n") + 2 - plain);
        for (unsigned ours = 0; ours < 16; ours++) {
                memcpy(note, plain, text);
                note[text] = '\0';
                for (unsigned i = 0; i < 16; i++)
                        strcat(note, i == ours ? plain + text : witness);
                assert_int_equal(open_note(note, strlen(note)), 0);
        }
        /* Only others'. */
        snprintf(note, sizeof(note), "%.*s%s", (int)text, plain, witness);
        assert_int_equal(open_note(note, strlen(note)), -EKEYREJECTED);
}

/* A second signature in our name and with our key's id that is wrong spoils the note. */
static void forged_beside_the_right_one(void **state)
{
        char note[FG_TLOG_NOTE_MAX], line[FG_TLOG_NOTE_MAX];
        uint8_t blob[68];
        sign_example(note);
        strcpy(line, strstr(note, "\n\n") + 2);
        strcat(note, line);
        assert_int_equal(open_note(note, strlen(note)), 0);
        char *encoded = line + strlen(DASH " " ORIGIN " ");
        assert_int_equal(fg_tlog_unbase64(encoded, 92, blob, sizeof(blob)), 0);
        blob[40] ^= 1;
        fg_tlog_base64(blob, sizeof(blob), encoded, 93);
        strcat(line, "\n");
        strcat(note, line);
        assert_int_equal(open_note(note, strlen(note)), -EBADMSG);
        /* The same with a signature that is too short to be one. */
        sign_example(note);
        fg_tlog_base64(blob, 5, encoded, 93);
        strcat(line, "\n");
        strcat(note, line);
        assert_int_equal(open_note(note, strlen(note)), -EBADMSG);
}

static void refused_signature_lines(void **state)
{
        static const char *const line[] = {
                "\n",
                "x\n",
                "- a AAAAAAA=\n",
                DASH "\n",
                DASH " \n",
                DASH " a\n",
                DASH " a \n",
                DASH "  AAAAAAA=\n",
                DASH " a  AAAAAAA=\n",
                DASH " a AAAAAA==\n", /* a key id and no signature */
                DASH " a AAAAAAA\n",
                DASH " a AAAAAAA= \n",
                DASH " a AAAAAAB=\n",
                DASH " a A===\n",
                DASH " a ====\n",
                DASH " a+b AAAAAAA=\n",
                DASH "a AAAAAAA=\n",
                " " DASH " a AAAAAAA=\n",
                DASH " a AAAAAAA=\r\n",
                DASH " a AAAAAAA=",
                DASH " a b AAAAAAA=\n",
                DASH " a AAAAAAA=\n\n",
                DASH " a AAAAAAA=\ntime 1\n",
        };
        char note[FG_TLOG_NOTE_MAX];
        size_t size;
        sign_example(note);
        size = strlen(note);
        strcpy(note + size, DASH " a AAAAAAA=\n");
        assert_int_equal(open_note(note, strlen(note)), 0);
        for (size_t i = 0; i < COUNT_OF(line); i++) {
                strcpy(note + size, line[i]);
                if (open_note(note, strlen(note)) != -EBADMSG)
                        fail_msg("row %zu", i);
        }
}

/* A signature for one origin, node or size is none for another, even with the same key. */
static void signatures_do_not_move(void **state)
{
        char note[FG_TLOG_NOTE_MAX], other[FG_TLOG_NOTE_MAX], mixed[FG_TLOG_NOTE_MAX];
        struct fg_tlog_checkpoint c = example();
        sign_example(note);
        c.size++;
        assert_int_equal(fg_tlog_sign(&c, &key, other), 0);
        snprintf(mixed, sizeof(mixed), "%.*s%s", (int)(strstr(other, "\n\n") - other), other, strstr(note, "\n\n"));
        assert_int_equal(open_note(mixed, strlen(mixed)), -EBADMSG);
        c = example(), strcpy(c.origin, "fastgpu/node-8");
        assert_int_equal(fg_tlog_sign(&c, &key, other), 0);
        assert_int_equal(open_note(other, strlen(other)), 0); /* which origin is wanted, the caller says */
        snprintf(mixed, sizeof(mixed), "%.*s%s", (int)(strstr(other, "\n\n") - other), other, strstr(note, "\n\n"));
        assert_int_equal(open_note(mixed, strlen(mixed)), -EKEYREJECTED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(known_key),
                cmocka_unit_test(known_note),
                cmocka_unit_test(known_checkpoints),
                cmocka_unit_test(form),
                cmocka_unit_test(round_trips),
                cmocka_unit_test(cannot_be_signed),
                cmocka_unit_test(every_byte_counts),
                cmocka_unit_test(other_letters_in_base64),
                cmocka_unit_test(every_byte_is_needed),
                cmocka_unit_test(refused_texts),
                cmocka_unit_test(refused_notes),
                cmocka_unit_test(unsigned_notes),
                cmocka_unit_test(too_long),
                cmocka_unit_test(among_witnesses),
                cmocka_unit_test(forged_beside_the_right_one),
                cmocka_unit_test(refused_signature_lines),
                cmocka_unit_test(signatures_do_not_move),
        };
        return cmocka_run_group_tests(tests, setup, NULL);
}
