/*
 * prog_conform_acl - POSIX access control lists, by the attributes that getfacl and setfacl use.
 */
#include <sys/xattr.h>

#include "prog_conform.h"

#define ACCESS  "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

struct list {
    size_t size;
    unsigned char bytes[1024];
};

static void
put(struct list *list, unsigned value, unsigned width)
{
    while (width-- > 0) {
        list->bytes[list->size++] = value & 255;
        value >>= 8;
    }
}

/* From text: "u:rwx u65534:r-- g:r-x g5:--- m:rwx o:---"; letters in any order. */
static struct list
list_of(const char *text)
{
    struct list list = {0};

    put(&list, 2, 4);
    while (*text) {
        char who = *text++;
        bool named = *text != ':';
        unsigned id = named ? (unsigned)strtoul(text, NULL, 10) : 0xffffffffu;
        unsigned tag = who == 'u'   ? (named ? 2 : 1)
                       : who == 'g' ? (named ? 8 : 4)
                       : who == 'm' ? 16
                                    : 32;
        unsigned rights = 0;

        for (text = strchr(text, ':') + 1; *text && *text != ' '; text++)
            rights |= *text == 'r' ? 4 : *text == 'w' ? 2 : *text == 'x' ? 1 : 0;
        while (*text == ' ')
            text++;
        put(&list, tag, 2);
        put(&list, rights, 2);
        put(&list, id, 4);
    }
    return list;
}

static int
set(const char *path, const char *name, const char *text)
{
    struct list list = list_of(text);

    return setxattr(path, name, list.bytes, list.size, 0);
}

/* As text, in the form list_of takes; "" if there is none. */
static const char *
get(const char *path, const char *name)
{
    static char text[1024];
    unsigned char bytes[1024];
    ssize_t size = getxattr(path, name, bytes, sizeof(bytes));
    char *end = text;

    *end = '\0';
    if (size < 0)
        return errno == ENODATA ? text : error_name(errno);
    for (ssize_t i = 4; i + 8 <= size; i += 8) {
        unsigned tag = bytes[i], rights = bytes[i + 2];
        unsigned id = bytes[i + 4] + 256u * bytes[i + 5] + 65536u * bytes[i + 6];

        *end++ = tag <= 2 ? 'u' : tag <= 8 ? 'g' : tag == 16 ? 'm' : 'o';
        if (tag == 2 || tag == 8)
            end += sprintf(end, "%u", id);
        end += sprintf(end, ":%c%c%c ", rights & 4 ? 'r' : '-', rights & 2 ? 'w' : '-',
                       rights & 1 ? 'x' : '-');
    }
    if (end > text)
        end[-1] = '\0';
    return text;
}

static void
errors(void)
{
    struct list list;

    group("acl: errors");
    make_kinds();
    FAILS(ENODATA, getxattr("file", ACCESS, NULL, 0));
    FAILS(ENODATA, getxattr("dir", DEFAULT, NULL, 0));
    FAILS(EINVAL, setxattr("file", ACCESS, "", 1, 0));
    FAILS(EOPNOTSUPP, setxattr("file", ACCESS, "12345", 5, 0));
    FAILS(EINVAL, set("file", ACCESS, "u:rwx"));
    FAILS(EINVAL, set("file", ACCESS, "u:rwx g:r--"));
    FAILS(EINVAL, set("file", ACCESS, "u:rwx u5:rwx g:r-- o:---"));
    FAILS(EINVAL, set("file", ACCESS, "u:rwx g:r-- g7:--- o:---"));
    FAILS(EINVAL, set("file", ACCESS, "u:rwx u:rwx g:r-- o:---"));
    FAILS(EINVAL, set("file", ACCESS, "g:r-- u:rwx o:---"));
    FAILS(EINVAL, set("dir", DEFAULT, "u:rwx g:r--"));
    list = list_of("u:rwx g:r-- o:---");
    list.bytes[0] = 1;
    FAILS(EOPNOTSUPP, setxattr("file", ACCESS, list.bytes, list.size, 0));
    list = list_of("u:rwx g:r-- o:---");
    list.bytes[4] = 64;
    FAILS(EINVAL, setxattr("file", ACCESS, list.bytes, list.size, 0));
    list = list_of("u:rwx g:r-- o:---");
    list.bytes[6] = 8;
    FAILS(EINVAL, setxattr("file", ACCESS, list.bytes, list.size, 0));
    FAILS(EACCES, set("file", DEFAULT, "u:rwx g:r-- o:---"));
    FAILS(EACCES, set("fifo", DEFAULT, "u:rwx g:r-- o:---"));
    FAILS(EOPNOTSUPP, lsetxattr("link", ACCESS, list.bytes, list.size, 0));
    FAILS(EOPNOTSUPP, lgetxattr("link", ACCESS, NULL, 0));
    OK(set("fifo", ACCESS, "u:rw- u5:r-- g:r-- m:r-- o:---"));
    OK(set("sock", ACCESS, "u:rw- u5:r-- g:r-- m:r-- o:---"));
    OK(set("chr", ACCESS, "u:rw- u5:r-- g:r-- m:r-- o:---"));
    OK(removexattr("file", ACCESS));
    /* To take away what is not there once marked ctime. */
    MARKS("", "file", removexattr("file", ACCESS));
    OK(removexattr("dir", DEFAULT));
    be(&alice);
    FAILS(EPERM, set("file", ACCESS, "u:rwx g:r-- o:---"));
    FAILS(EPERM, set("dir", DEFAULT, "u:rwx g:r-- o:---"));
    FAILS(EPERM, removexattr("file", ACCESS));
    make("mine", 0600, "");
    OK(set("mine", ACCESS, "u:rw- u65533:r-- g:--- m:r-- o:---"));
    TEXT("u:rw- u65533:r-- g:--- m:r-- o:---", get("mine", ACCESS));
    be(&bob);
    TEXT("", contents_of("mine"));
    FAILS(EACCES, open("mine", O_RDWR));
    TEXT("u:rw- u65533:r-- g:--- m:r-- o:---", get("mine", ACCESS));
    FAILS(EPERM, set("mine", ACCESS, "u:rwx g:r-- o:---"));
}

static void
lists_and_modes(void)
{
    group("acl: the list and the mode");
    make("f", 0640, "");
    OK(set("f", ACCESS, "u:rwx g:r-x o:--x"));
    IS(0751, mode_of("f"));
    TEXT("", get("f", ACCESS));
    OK(set("f", ACCESS, "u:rw- u7:rwx g:r-- m:rw- o:---"));
    IS(0660, mode_of("f"));
    TEXT("u:rw- u7:rwx g:r-- m:rw- o:---", get("f", ACCESS));
    OK(chmod("f", 0704));
    TEXT("u:rwx u7:rwx g:r-- m:--- o:r--", get("f", ACCESS));
    OK(chmod("f", 0777));
    TEXT("u:rwx u7:rwx g:r-- m:rwx o:rwx", get("f", ACCESS));
    MARKS("c", "f", set("f", ACCESS, "u:rw- u7:rwx g:r-- m:r-- o:---"));
    IS(0640, mode_of("f"));
    OK(chown("f", 3, 4));
    TEXT("u:rw- u7:rwx g:r-- m:r-- o:---", get("f", ACCESS));
    OK(link("f", "g"));
    OK(chmod("g", 0600));
    TEXT("u:rw- u7:rwx g:r-- m:--- o:---", get("f", ACCESS));
    OK(rename("f", "h"));
    TEXT("u:rw- u7:rwx g:r-- m:--- o:---", get("h", ACCESS));
    OK(unlink("g"));
    TEXT("u:rw- u7:rwx g:r-- m:--- o:---", get("h", ACCESS));
    IS(sizeof(ACCESS), listxattr("h", NULL, 0));
    OK(removexattr("h", ACCESS));
    TEXT("", get("h", ACCESS));
    IS(0600, mode_of("h"));
    OK(chmod("h", 04755));
    OK(set("h", ACCESS, "u:rwx u7:rwx g:r-x m:rwx o:r-x"));
    IS(04775, mode_of("h"));
    OK(set("h", ACCESS, "u:rw- g:r-- o:r--"));
    IS(04644, mode_of("h"));
    TEXT("", get("h", ACCESS));
    make_dir("d", 0755);
    OK(set("d", DEFAULT, "u:rwx g:r-x o:---"));
    IS(0755, mode_of("d"));
    TEXT("u:rwx g:r-x o:---", get("d", DEFAULT));
    TEXT("", get("d", ACCESS));
    OK(setxattr("d", DEFAULT, "", 0, 0));
    TEXT("", get("d", DEFAULT));
    OK(set("d", ACCESS, "u:rwx u7:r-x g:r-x m:r-x o:---"));
    IS(0750, mode_of("d"));
    OK(setxattr("d", ACCESS, "", 0, 0));
    TEXT("", get("d", ACCESS));
    /* Whoever is not of the group loses the setgid bit with a new list. */
    make("s", 0, "");
    MUST(chown("s", 65534, 65531));
    MUST(chmod("s", 02770));
    be(&alice);
    OK(set("s", ACCESS, "u:rwx u7:rwx g:r-x m:rwx o:r-x"));
    IS(0775, mode_of("s"));
    char many[1024] = "u:rwx", *end = many + 5;

    for (int i = 1; i <= 30; i++)
        end += sprintf(end, " u%d:r--", i);
    strcpy(end, " g:r-- m:r-- o:r--");
    OK(set("s", ACCESS, many));
    TEXT(many, get("s", ACCESS));
}

/* Which of r, w and x the caller has, by open and by access. */
static const char *
rights(const char *path)
{
    static char text[4];
    char *end = text;
    int fd = open(path, O_RDONLY);

    if (fd >= 0)
        *end++ = 'r', close(fd);
    fd = open(path, O_WRONLY);
    if (fd >= 0)
        *end++ = 'w', close(fd);
    if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
        *end++ = 'x';
    *end = '\0';
    return text;
}

static void
checked(void)
{
    static const struct {
        const char *list, *alice, *bob, *carol;
    } cases[] = {
        /* carol is of group 65534 too; the file is of 65534:65532, hers by group. */
        {"u:rwx g:r-x o:--x", "rwx", "x", "rx"},
        {"u:rw- u65533:r-- g:r-- m:rwx o:---", "rw", "r", "r"},
        {"u:rw- u65533:rwx g:r-- m:r-- o:---", "rw", "r", "r"},
        {"u:r-- u65533:--- g:rw- m:rwx o:rwx", "r", "", "rw"},
        {"u:--- u65534:rwx g:--- m:rwx o:rwx", "", "rwx", ""},
        {"u:--- u65532:rw- g:--- m:rwx o:---", "", "", "rw"},
        {"u:--- u65532:r-- g:rwx m:rwx o:---", "", "", "r"},
        {"u:--- g:--- g65534:rw- m:rwx o:r--", "", "r", "rw"},
        {"u:--- g:r-- g65534:-w- m:rwx o:---", "", "", "rw"},
        {"u:--- g:rwx g65533:r-- m:rw- o:---", "", "r", "rw"},
        {"u:--- g:rwx g65534:rwx m:--- o:rwx", "", "rwx", ""},
        {"u:rwx u65533:rwx g:rwx m:--x o:---", "rwx", "x", "x"},
    };

    group("acl: who may what");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char what[96];

        be(&root);
        make("f", 0600, "");
        MUST(chown("f", 65534, 65532));
        MUST(set("f", ACCESS, cases[i].list));
        be(&alice);
        snprintf(what, sizeof(what), "\"%s\" to alice", cases[i].list);
        report_texts(what, cases[i].alice, rights("f"));
        be(&bob);
        snprintf(what, sizeof(what), "\"%s\" to bob", cases[i].list);
        report_texts(what, cases[i].bob, rights("f"));
        be(&carol);
        snprintf(what, sizeof(what), "\"%s\" to carol", cases[i].list);
        report_texts(what, cases[i].carol, rights("f"));
        be(&root);
        MUST(unlink("f"));
    }
    make_dir("d", 0700);
    make("d/f", 0644, "inside");
    be(&bob);
    FAILS(EACCES, open("d/f", O_RDONLY));
    be(&root);
    OK(set("d", ACCESS, "u:rwx u65533:r-x g:--- m:r-x o:---"));
    be(&bob);
    TEXT("inside", contents_of("d/f"));
    FAILS(EACCES, mkdir("d/new", 0755));
    be(&root);
    OK(set("d", ACCESS, "u:rwx u65533:rwx g:--- m:rwx o:---"));
    be(&bob);
    OK(mkdir("d/new", 0755));
    OK(unlink("d/f"));
    be(&alice);
    FAILS(EACCES, rmdir("d/new"));
    be(&root);
    OK(chmod("d", 0700));
    be(&bob);
    FAILS(EACCES, rmdir("d/new"));
}

static void
inherited(void)
{
    group("acl: inherited");
    make_dir("d", 0755);
    OK(set("d", DEFAULT, "u:rwx u7:rwx g:r-x m:rwx o:r--"));
    umask(077);
    OK(close(open("d/f", O_RDWR | O_CREAT, 0666)));
    TEXT("u:rw- u7:rwx g:r-x m:rw- o:r--", get("d/f", ACCESS));
    IS(0664, mode_of("d/f"));
    TEXT("", get("d/f", DEFAULT));
    OK(close(open("d/g", O_RDWR | O_CREAT, 0600)));
    TEXT("u:rw- u7:rwx g:r-x m:--- o:---", get("d/g", ACCESS));
    IS(0600, mode_of("d/g"));
    OK(mkdir("d/d", 0777));
    TEXT("u:rwx u7:rwx g:r-x m:rwx o:r--", get("d/d", ACCESS));
    TEXT("u:rwx u7:rwx g:r-x m:rwx o:r--", get("d/d", DEFAULT));
    IS(0774, mode_of("d/d"));
    OK(mkdir("d/e", 0700));
    TEXT("u:rwx u7:rwx g:r-x m:--- o:---", get("d/e", ACCESS));
    TEXT("u:rwx u7:rwx g:r-x m:rwx o:r--", get("d/e", DEFAULT));
    OK(mkfifo("d/p", 0666));
    TEXT("u:rw- u7:rwx g:r-x m:rw- o:r--", get("d/p", ACCESS));
    OK(mknod("d/c", S_IFCHR | 0666, 0x103));
    IS(0664, mode_of("d/c"));
    OK(symlink("x", "d/l"));
    IS(0777, mode_of("d/l"));
    OK(mkdir("d/d/deep", 0777));
    TEXT("u:rwx u7:rwx g:r-x m:rwx o:r--", get("d/d/deep", DEFAULT));
    OK(rename("d/f", "f"));
    TEXT("u:rw- u7:rwx g:r-x m:rw- o:r--", get("f", ACCESS));
    make("plain", 0644, "");
    OK(rename("plain", "d/plain"));
    TEXT("", get("d/plain", ACCESS));
    OK(link("d/plain", "d/linked"));
    TEXT("", get("d/linked", ACCESS));
    /* A default list of three is no more than a mode; then the umask does not count. */
    OK(set("d", DEFAULT, "u:rwx g:r-- o:r-x"));
    OK(close(open("d/h", O_RDWR | O_CREAT, 0777)));
    IS(0745, mode_of("d/h"));
    TEXT("", get("d/h", ACCESS));
    OK(mkdir("d/i", 0770));
    IS(0740, mode_of("d/i"));
    TEXT("u:rwx g:r-- o:r-x", get("d/i", DEFAULT));
    OK(removexattr("d", DEFAULT));
    OK(close(open("d/j", O_RDWR | O_CREAT, 0666)));
    IS(0600, mode_of("d/j"));
    OK(mkdir("d/k", 0777));
    IS(0700, mode_of("d/k"));
    TEXT("", get("d/k", DEFAULT));
    umask(022);
    OK(close(open("d/m", O_RDWR | O_CREAT, 0666)));
    IS(0644, mode_of("d/m"));
    OK(mkdir("d/n", 01777));
    IS(01755, mode_of("d/n"));
    OK(mkfifo("d/o", 0666));
    IS(0644, mode_of("d/o"));
    OK(mknod("d/q", S_IFREG | 0666, 0));
    IS(0644, mode_of("d/q"));
    make_dir("s", 0755);
    MUST(chown("s", 0, 5));
    MUST(chmod("s", 02777));
    OK(set("s", DEFAULT, "u:rwx u7:rwx g:r-x m:rwx o:r--"));
    be(&alice);
    OK(mkdir("s/d", 0777));
    TEXT("65534:5 2774", owner_of("s/d"));
    OK(close(open("s/f", O_RDWR | O_CREAT, 0666)));
    TEXT("65534:5 664", owner_of("s/f"));
    TEXT("u:rw- u7:rwx g:r-x m:rw- o:r--", get("s/f", ACCESS));
}

/* What the tools say; where they are installed. */
static void
tools(void)
{
    if (system("command -v setfacl getfacl >/dev/null") != 0)
        return;
    group("acl: setfacl and getfacl");
    IS(0, system("touch f; mkdir d; chmod 644 f; chmod 755 d"));
    IS(0, system("setfacl -m u:7:rw,g:8:r f && setfacl -d -m u:7:rwx d"));
    IS(0, system("getfacl -cn f | tr '\\n' ' ' | grep -qx 'user::rw- user:7:rw- "
                 "group::r-- group:8:r-- mask::rw- other::r--  '"));
    IS(0, system("getfacl -cn d | grep -qx default:user:7:rwx"));
    IS(0, system("ls -ld f | grep -q '^-rw-rw-r--+'"));
    IS(0, system("touch d/inner; getfacl -cn d/inner | grep -q 'user:7:rwx'"));
    IS(0, system("cp -a f copy; getfacl -cn f >1; getfacl -cn copy >2; cmp 1 2"));
    IS(0, system("setfacl -b f; getfacl -cn f | grep -q mask && exit 1; exit 0"));
    IS(0, system("ls -ld f | grep -q '^-rw-r--r-- '"));
    IS(0, system("setfacl -k d; getfacl -cn d | grep -q default && exit 1; exit 0"));
}

int
main(int argc, char **argv)
{
    conform_begin(argc, argv);
    errors();
    lists_and_modes();
    checked();
    inherited();
    tools();
    return conform_end();
}
