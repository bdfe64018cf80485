/* linger.c - see linger.h. */
#include "daemon/linger.h"

#define QUICK       4      /* so many that came quickly, and the next is looked for */
#define MISSED      4      /* requests that are not looked for after a look in vain */
#define SPARED      10000u /* requests at most after one look, */
#define DOUBLED     7u     /* and doubled as often at most */
#define MICROSECOND 1000u

void
linger_arrived(struct linger *linger, uint64_t now)
{
    if (now > linger->answered + LINGER_QUICK)
        linger->quick = linger->quick < 0 ? linger->quick : 0;
    else if (linger->quick < QUICK)
        linger->quick++;
}

/* Threads that answer side by side may come in another order. */
void
linger_answered(struct linger *linger, uint64_t now)
{
    if (now > linger->answered)
        linger->answered = now;
}

bool
linger_wanted(const struct linger *linger)
{
    return linger->quick == QUICK;
}

void
linger_gained(struct linger *linger)
{
    linger->shared = 0;
}

void
linger_missed(struct linger *linger)
{
    linger->quick = -MISSED;
}

void
linger_away(struct linger *linger, uint64_t nanoseconds)
{
    uint64_t used = nanoseconds / MICROSECOND;

    linger->quick = -(int)((used < SPARED ? used : SPARED) << linger->shared);
    if (linger->shared < DOUBLED)
        linger->shared++;
}
