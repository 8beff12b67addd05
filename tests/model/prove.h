// prove: builds the programs of all ranks for one problem and checks them; counts what was proved.
#pragma once
#include <string>
#include <vector>

#include "lib/sched/algorithm.h"
#include "lib/sched/check.h"
#include "lib/sched/print.h"
#include "lib/sched/program.h"
#include "lib/sched/select.h"

namespace tutti::test {

struct Proved {
  long schedules = 0;  // problems
  long programs = 0;   // one per rank
  long works = 0;
};
inline Proved proved;

inline std::vector<Program> programs_of(const Algorithm& algorithm, const Topology& topology, const Claim& claim) {
  std::vector<Program> programs;
  for (int rank = 0; rank < topology.ranks(); ++rank) {
    const bool in_place = claim.in_place_of.empty() ? claim.in_place : claim.in_place_of[static_cast<size_t>(rank)];
    const Problem problem{claim.collective, claim.root, rank, topology.ranks(), in_place, claim.uniform, topology};
    programs.push_back(program_of(algorithm, problem));
  }
  return programs;
}

// "" if proved; else the problem and what is wrong. An algorithm that does not apply is no failure and not counted.
inline std::string prove(const Algorithm& algorithm, const Topology& topology, const Claim& claim) {
  const Problem problem{claim.collective, claim.root, 0, topology.ranks(), claim.in_place, claim.uniform, topology};
  if (!algorithm.applies(problem)) return "";
  const std::vector<Program> programs = programs_of(algorithm, topology, claim);
  const Status status = check(claim, programs);
  if (!status.ok())
    return concat(algorithm.name, " ", name_of(claim.collective), " ranks ", topology.ranks(), " root ", claim.root,
                  !claim.in_place_of.empty() ? " in place on some"
                  : claim.in_place           ? " in place"
                                             : "",
                  claim.uniform ? "" : " not uniform", ": ", status.text());
  ++proved.schedules;
  proved.programs += topology.ranks();
  for (const Program& program : programs) proved.works += static_cast<long>(program.works.size());
  return "";
}

}  // namespace tutti::test
