// What wgmma.cpp needs of the scheduler in simt.cpp, and the other way round.
#pragma once

namespace simt
{
struct Meeting { int arrived = 0, generation = 0; };

// True in the last of `count` fibers to come, which must call part; false in the others, once it has.
bool meet(Meeting& meeting, int count);
void part(Meeting& meeting);
// Barriers that this block has passed.
int barriers_passed();
// Ends the launch with this error; does not return.
void fail(const char* error);

// This thread wrote 16 bytes of shared memory.
void shared_written(const void* shared);
void wgmma_begin_block(int shared_bytes, int threads, int order);
// Null, or what was left undone.
const char* wgmma_end_block();
}
