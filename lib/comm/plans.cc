// plans: see plans.h.
#include "lib/comm/plans.h"

#include <algorithm>
#include <bit>

#include "lib/base/log.h"
#include "lib/sched/select.h"

namespace tutti {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// A single message from or to `peer`, on the lane that schedules leave alone.
Program single_message(int peer, bool sends) {
  constexpr uint8_t kLane = kLanes - 1;
  static_assert(kLane >= kChannels);
  Program program;
  program.works.push_back({sends ? Work::Kind::Send : Work::Kind::Combine, sends ? input(0) : output(0), 1, 0, 1, 0, 0, 0});
  if (sends) {
    program.targets.push_back({peer, kLane, 0});
  } else {
    program.sources.push_back({peer, kLane, 0, {}});
  }
  program.lanes.push_back({peer, kLane, sends ? 1u : 0u, sends ? 0u : 1u});
  return program;
}

}  // namespace

Result<ForcedAlgorithms> ForcedAlgorithms::parse(const std::string& text) {
  ForcedAlgorithms forced;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t colon = word.find(':');
    const std::string name = colon == std::string::npos ? word : word.substr(colon + 1);
    const auto algorithms = all_algorithms();
    if (std::none_of(algorithms.begin(), algorithms.end(), [&](const Algorithm& a) { return name == a.name; })) {
      std::string known;
      for (const Algorithm& algorithm : algorithms) known += concat(known.empty() ? "" : ", ", algorithm.name);
      return fail(Code::InvalidArgument, "there is no algorithm '", name, "'; known: ", known);
    }
    bool found = false;
    for (int c = 0; c < kCollectives; ++c) {
      const bool named = colon != std::string::npos && lower(name_of(static_cast<Collective>(c))) == lower(word.substr(0, colon));
      if (colon != std::string::npos && !named) continue;
      found = true;
      if (colon == std::string::npos && forced.strict_[c]) continue;
      forced.names_[c] = name;
      forced.strict_[c] = named;
    }
    if (found) continue;
    std::string known;
    for (int c = 0; c < kCollectives; ++c) known += concat(c == 0 ? "" : ", ", lower(name_of(static_cast<Collective>(c))));
    return fail(Code::InvalidArgument, "there is no collective '", word.substr(0, colon), "'; known: ", known);
  }
  return forced;
}

size_t deciding_bytes(size_t bytes) { return std::bit_floor(bytes); }

Plans::Plans(int rank, const Topology& topology, std::vector<Route> routes, ForcedAlgorithms forced, size_t tile_bytes)
    : rank_(rank), topology_(topology), routes_(std::move(routes)), forced_(std::move(forced)), tile_bytes_(tile_bytes) {
  for (auto& plans : single_) plans.resize(static_cast<size_t>(topology.ranks()));
}

Status Plans::check_forced() const {
  for (int c = 0; c < kCollectives; ++c) {
    const Collective collective = static_cast<Collective>(c);
    if (!forced_.strict(collective)) continue;
    const Status chosen = select({collective, 0, 0, topology_.ranks(), false, true, topology_}, 0, forced_.name(collective)).status();
    if (!chosen.ok()) return chosen;
  }
  return {};
}

Result<const Plan*> Plans::find(Collective collective, int root, bool in_place, bool uniform, size_t bytes) {
  const size_t bucket = bucket_of(bytes);
  Variant& variant = table_[static_cast<size_t>(collective)][in_place * 2 + uniform][bucket];
  if (variant.by_root.empty()) variant.by_root.resize(has_root(collective) ? topology_.ranks() : 1);
  const Plan*& plan = variant.by_root[static_cast<size_t>(root)];
  if (plan) [[likely]]
    return plan;
  Result<const Plan*> made = make(problem_of(collective, root, in_place, uniform), deciding_bytes(bytes));
  if (made.ok()) plan = made.value();
  return made;
}

Result<const Plan*> Plans::find_mapped(bool in_place, size_t bytes) {
  const Plan*& plan = mapped_[in_place][bucket_of(bytes)];
  if (plan) return plan;
  Problem problem = problem_of(Collective::AllReduce, 0, in_place, true);
  problem.mapped = true;
  Result<const Plan*> made = make(problem, deciding_bytes(bytes));
  if (made.ok()) plan = made.value();
  return made;
}

Result<const Plan*> Plans::make(const Problem& problem, size_t bytes) {
  Problem shared = problem;  // what all ranks see alike
  shared.rank = 0;
  shared.in_place = false;
  const std::string& name = forced_.name(problem.collective);
  Result<const Algorithm*> chosen = select(shared, bytes, name);
  // A name for all collectives, or for blocks of one size, serves where it can.
  const bool applies = chosen.ok();
  if (!applies && !name.empty()) chosen = select(shared, bytes, "");
  if (!chosen.ok()) return chosen.status();

  const Algorithm* algorithm = chosen.value();
  std::unique_ptr<Plan>& plan =
      made_[{algorithm, problem.collective, problem.root, problem.in_place, problem.uniform}];
  const bool known = plan != nullptr;
  if (!known) {
    plan = bind_plan(program_of(*algorithm, problem), blocks_of(problem.collective, problem.ranks), routes_);
    plan->algorithm = algorithm->name;
    if (least_message_bytes(*plan) > tile_bytes_) {
      plan.reset();
      return fail(Code::InvalidUsage, name_of(problem.collective), " by ", algorithm->name, " on ", problem.ranks,
                  " ranks needs messages longer than TUTTI_TILE (", tile_bytes_, " bytes): raise it");
    }
  }
  if (!known || problem.mapped)
    log_info(rank_, name_of(problem.collective), " from ", bytes, " bytes on: ", algorithm->name, ", ", plan->works.size(),
             " works", problem.mapped ? ", in mapped memory" : "",
             name.empty() ? "" : applies ? ", forced by TUTTI_ALGO" : concat(", TUTTI_ALGO=", name, " does not apply"));
  return plan.get();
}

const Plan* Plans::make_single(bool sends, int peer) {
  std::unique_ptr<Plan>& plan = single_[sends][static_cast<size_t>(peer)];
  plan = bind_plan(single_message(peer, sends), 1, routes_);
  plan->point_to_point = true;
  return plan.get();
}

}  // namespace tutti
