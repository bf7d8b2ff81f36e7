/* The journals of one wallet against a host that does what it likes (docs/adr/0011): N = 4, t = 2, so w = 3 and r = 3.
 *
 * One journal is corrupt and says whatever helps the host: it is not in the state, it is in what may happen. Three are honest, 0 to
 * 2; the fourth instance is a copy of journal 0, booted from the same sealed state. The host steps: one of them reserves,
 * hears another, signs, starts again, forgets. It keeps every acknowledgement that it was given, and shows an old one if it likes.
 *
 *   RIVALS   items 0 and 1 are two intents of one request
 *   LIMIT    items are payments of one; two may be signed for
 *   K        honest journals that are rolled back, or copied, at a time; w - t = 1 holds, 2 does not
 *   EQUAL    0: acknowledgements of unequal sets are taken, as if any two of them in common were enough for a limit
 *   STARTS   how often the host may start a journal again
 *   LIVE     wherever the host stopped: if it is honest from then on, a fresh request is signed
 */
#ifndef K
#define K 1
#endif
#ifndef STARTS
#define STARTS 2
#endif
#ifndef MOST
#define MOST 4 /* a copy and its original drive each other's number up for ever: the host is made to stop here */
#endif
#ifndef EQUAL
#ifdef LIMIT
#define EQUAL 1
#else
#define EQUAL 0
#endif
#endif
#ifdef LIMIT
#define ITEMS 3
#define BEFORE(i) (COUNT(set[i]) - ((set[i] >> item) & 1))
#define FREE(i) (BEFORE(i) + 1 <= 2)
#else
#define ITEMS 2
/* The items are alike, so the host begins with 0. */
#define FREE(i) (!((set[i] >> (1 - item)) & 1) && (item == 0 || begun))
#endif

#define COPY 3
#define OWNER(i) ((i) % 3)
#define COUNT(s) ((s & 1) + ((s >> 1) & 1) + ((s >> 2) & 1))
#define ME(i) (4 * inc[i] + boot[i])
#define NOTE(i, j) note[3 * (i) + (j)]
#define ACK(i) ack[ITEMS * (i) + item]
#define ACKVIEW(i, j) view[3 * (ITEMS * (i) + item) + (j)]

bool alive[4], joined[4], lost[4], begun;
byte set[4];        /* what it remembers */
byte inc[4];        /* the incarnation it goes by, or proposes */
byte boot[4];       /* which of all starts this is: no two have one */
byte heard[4];      /* owners heard on the way to joining */
byte note[12];      /* the last start that it knows of each owner: 4 * incarnation + boot */
byte ack[12];       /* the acknowledgement in the host's hands: 128 + 16 * incarnation + set; 0 for none */
byte view[36];      /* and the incarnations in it */
byte done, starts, i, x, item, third;

#define TROUBLED ((lost[0] || alive[COPY]) + lost[1] + lost[2])
#define ACKSET(i) (ACK(i) & 7)
#define ACKINC(i) ((ACK(i) >> 4) & 7)

inline pick_item() { select(item : 0 .. ITEMS - 1) }
inline pick(who) { select(who : 0 .. COPY) }

/* Remembers, and answers an acknowledgement; the host may go on holding the one before. */
inline reserve() {
    pick(i); pick_item();
    if
    :: alive[i] && joined[i] && FREE(i) ->
        set[i] = set[i] | (1 << item);
        begun = true;
        printf("journal %d reserves item %d\n", i, item);
        if
        :: ACK(i) = 128 + 16 * inc[i] + EQUAL * set[i];
           ACKVIEW(i, 0) = NOTE(i, 0) / 4; ACKVIEW(i, 1) = NOTE(i, 1) / 4; ACKVIEW(i, 2) = NOTE(i, 2) / 4
        :: ACK(i) -> printf("    and the host keeps the acknowledgement that it had\n")
        fi
    :: else -> skip
    fi
}

/* i hears x: x takes note of i's start, if it may; i takes over what x has. Of what a joined journal hears, a host that wants it to
 * forget shows it only what makes it step down, unless it needs equal sets. */
inline hear() {
    if
    :: alive[i] && alive[x] && OWNER(i) != OWNER(x) && (EQUAL || !joined[i] || NOTE(x, OWNER(i)) > ME(i)) ->
        if
        :: NOTE(x, OWNER(i)) / 4 < inc[i] -> NOTE(x, OWNER(i)) = ME(i)
        :: else -> skip
        fi;
        if
        :: NOTE(x, OWNER(i)) == ME(i) ->
            set[i] = set[i] | set[x];
            printf("journal %d, start %d, hears journal %d\n", i, inc[i], x);
            third = 3 - OWNER(i) - OWNER(x);
            if
            :: NOTE(x, third) / 4 > NOTE(i, third) / 4 -> NOTE(i, third) = NOTE(x, third)
            :: else -> skip
            fi;
            if
            :: !joined[i] ->
                heard[i] = heard[i] | (1 << OWNER(x));
                /* All others: the corrupt one joins in when it is asked. */
                if
                :: COUNT(heard[i]) == 2 -> joined[i] = true; lost[i] = false; heard[i] = 0;
                   printf("    and has joined: it remembers set %d\n", set[i])
                :: else -> skip
                fi
            :: else -> skip
            fi
        :: else ->
            /* A later start of it is known, or another one took its number: it steps down and proposes a higher one. */
            joined[i] = false; heard[i] = 0; inc[i] = NOTE(x, OWNER(i)) / 4 + 1;
            printf("journal %d learns of another start from journal %d: proposes %d\n", i, x, inc[i]);
            if
            :: inc[i] > MOST -> alive[i] = false; inc[i] = 0
            :: else -> skip
            fi
        fi
    :: else -> skip
    fi;
    third = 0
}

/* Its own acknowledgement of this start, the liar's, and one more. */
inline sign() {
    pick(i); pick_item(); pick(x);
    if
    :: alive[i] && OWNER(i) != OWNER(x) && ACK(i) && ACK(x) && ACKINC(i) == inc[i] && joined[i] && (EQUAL == 0 || ACKSET(i) == ACKSET(x)) &&
       ACKVIEW(i, OWNER(x)) <= ACKINC(x) && ACKVIEW(x, OWNER(i)) <= ACKINC(i) ->
        done = done | (1 << item);
        printf("item %d is signed: journals %d and %d and the liar acknowledged\n", item, i, x)
    :: else -> skip
    fi
}

/* Starts again, on what it had or on less: it forgets what it reserved, or of whom it took note, or both. */
inline restart() {
    select(i : 0 .. 2);
    if
    :: starts > 0 && alive[i] ->
        starts--;
        joined[i] = false; heard[i] = 0; inc[i]++; boot[i] = STARTS - starts;
        if
        :: printf("journal %d starts again\n", i)
        :: lost[i] || K > TROUBLED -> lost[i] = true; set[i] = 0;
           printf("journal %d starts again, and forgot what it reserved\n", i)
        :: lost[i] || K > TROUBLED -> lost[i] = true; set[i] = 0;
           printf("journal %d starts again on its first state\n", i);
           inc[i] = 2; NOTE(i, 0) = 4; NOTE(i, 1) = 4; NOTE(i, 2) = 4
        fi
    :: else -> skip
    fi
}

/* One sealed state booted twice: both go on. */
inline clone() {
    if
    :: starts > 0 && !alive[COPY] && !lost[0] && K > TROUBLED ->
        starts--;
        alive[COPY] = true; joined[COPY] = false; inc[COPY] = inc[0] + 1; heard[COPY] = 0;
        boot[COPY] = STARTS - starts;
        NOTE(COPY, 1) = NOTE(0, 1); NOTE(COPY, 2) = NOTE(0, 2);
        if
        :: set[COPY] = set[0]; printf("journal 3, a copy of journal 0, starts\n")
        :: set[COPY] = 0; printf("journal 3, a copy of the first state of journal 0, starts\n")
        fi
    :: else -> skip
    fi
}

#ifdef LIVE
/* An honest host: no copies; everybody joins, catches up, reserves the request of its own, and one signs. */
inline honest() {
    alive[COPY] = false;
    for (third : 0 .. 3) {
        for (i : 0 .. 2) {
            for (x : 0 .. 2) { honest_hear() }
        }
    }
    item = 2;
    for (i : 0 .. 2) {
        assert(joined[i]);
        set[i] = set[i] | 4;
        ACK(i) = 128 + 16 * inc[i] + EQUAL * set[i];
        ACKVIEW(i, 0) = NOTE(i, 0) / 4; ACKVIEW(i, 1) = NOTE(i, 1) / 4; ACKVIEW(i, 2) = NOTE(i, 2) / 4
    }
    assert(ACKSET(0) == ACKSET(1) && ACKSET(1) == ACKSET(2));
    assert(ACKVIEW(0, 1) <= ACKINC(1) && ACKVIEW(1, 0) <= ACKINC(0));
    assert(ACKVIEW(1, 2) <= ACKINC(2) && ACKVIEW(2, 1) <= ACKINC(1))
}
inline honest_hear() {
    if
    :: i != x && NOTE(x, i) / 4 < inc[i] -> NOTE(x, i) = ME(i)
    :: else -> skip
    fi;
    if
    :: i == x -> skip
    :: i != x && NOTE(x, i) == ME(i) ->
        set[i] = set[i] | set[x];
        if
        :: !joined[i] ->
            heard[i] = heard[i] | (1 << x);
            if
            :: COUNT(heard[i]) == 2 -> joined[i] = true; lost[i] = false; heard[i] = 0
            :: else -> skip
            fi
        :: else -> skip
        fi
    :: else -> joined[i] = false; heard[i] = 0; inc[i] = NOTE(x, i) / 4 + 1
    fi
}
#endif

#ifdef LIMIT
#define HOLDS (COUNT(done) <= 2)
#else
#define HOLDS ((done & 3) != 3)
#endif

active proctype host() {
    d_step {
        for (i : 0 .. 2) {
            alive[i] = true; joined[i] = true; inc[i] = 1;
            NOTE(i, 0) = 4; NOTE(i, 1) = 4; NOTE(i, 2) = 4
        }
        starts = STARTS; i = 0
    }
    do
    :: atomic { reserve(); i = 0; x = 0; item = 0 }
    :: atomic { pick(i); pick(x); hear(); i = 0; x = 0 }
    :: atomic { sign(); i = 0; x = 0; item = 0; assert(HOLDS) }
    :: atomic { restart(); i = 0 }
    :: atomic { clone() }
#ifdef LIVE
    :: atomic { honest(); break }
#endif
    od
}
