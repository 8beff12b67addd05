// print: programs as text for people: one rank's works as lines, and all ranks' messages as a picture.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "lib/sched/program.h"

namespace tutti {

// "output[2..4)"
std::string text_of(Ref ref, uint32_t chunks);
// "combine output[2..3) = input[2..3) + recv 1#0" or "send input[0..1) to 1#0, 2#0"; a message is peer#number, with .channel
// behind the peer where that is not 0.
std::string text_of(const Program& program, const Work& work);
// A line of shape, then one numbered line per work with what it waits for.
std::string text_of(const Program& program);

// Per rank and work: the step at which it is done, as if every message took one step and all else none. A Send's message arrives one step
// later.
std::vector<std::vector<uint32_t>> steps_of(std::span<const Program> programs);

// Who sends which run to whom at which step, over all ranks; a step is a hop of the longest chain of messages before it.
// One row per sender:
//   step 0
//     rank 0  input[0..1) -> 1
std::string draw(std::span<const Program> programs);

}  // namespace tutti
