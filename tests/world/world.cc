// world: see world.h.
#include "tests/world/world.h"

#include <algorithm>

#include "lib/sched/select.h"
#include "tests/world/draw.h"
#include "tests/world/pace.h"

namespace tutti::test::world {
namespace {

constexpr int kAvg = 4;

class World {
 public:
  World(uint64_t seed, const Options& options);
  Outcome run();

 private:
  struct Rank {
    std::vector<std::unique_ptr<Plan>> plans;            // per call
    std::vector<std::unique_ptr<Execution>> executions;  // per call
    std::vector<std::unique_ptr<Part>> parts;            // per round; made when it begins
    std::vector<LaneCount> lanes;
    size_t round = 0;
    bool begun = false, failed = false;
  };

  void make_plans();
  void drop_dependency();
  // Both say whether anything happened.
  bool step(int rank);
  bool begin_round(int rank);
  void end_round(int rank);
  void check_failure(int rank, const Execution& execution);
  void check_waiting();
  bool all_ended() const {
    return std::all_of(ranks_.begin(), ranks_.end(), [&](const Rank& rank) { return rank.failed || rank.round == rounds_.size(); });
  }
  void complain(int rank, const std::string& text) {
    if (outcome_.wrong.empty()) outcome_.wrong = concat("rank ", rank, ": ", text);
  }

  const Options options_;
  Dice dice_;
  const Places places_;
  const int number_ = places_.ranks();
  Pace pace_{dice_, number_};
  std::unique_ptr<Network> network_;
  std::vector<Call> calls_;
  std::vector<size_t> rounds_;     // which of calls_ each round makes: the same call may come again, as in a training loop
  std::vector<Call> round_calls_;  // per round: the call, with values of its own
  std::vector<Program> programs_;  // [call * ranks + rank]
  size_t tile_bytes_ = 0;
  uint32_t window_ = 1;
  uint64_t cut_at_ = UINT64_MAX;  // the step in which a line is cut
  std::vector<Rank> ranks_;
  Outcome outcome_;
};

World::World(uint64_t seed, const Options& options) : options_(options), dice_(seed, 2), places_(draw_places(dice_)) {
  ranks_.resize(static_cast<size_t>(number_));
  network_ = std::make_unique<Network>(seed, places_.hosts, options.planted);
  const int calls = dice_.between(1, 3);
  for (int i = 0; i < calls; ++i) calls_.push_back(draw_call(dice_, places_));
  const int rounds = calls + dice_.between(0, 3);
  for (int i = 0; i < rounds; ++i) rounds_.push_back(i < calls ? static_cast<size_t>(i) : dice_.below(calls_.size()));
  for (const size_t call : rounds_) {
    round_calls_.push_back(calls_[call]);
    round_calls_.back().seed = dice_.next();
  }
  make_plans();
  const bool sound = options.planted == Planted::None && !options.drop_dependency;
  if (sound && number_ > 1 && dice_.chance(15)) cut_at_ = static_cast<uint64_t>(dice_.spread(1, 3000));
}

void World::make_plans() {
  for (const Call& call : calls_)
    for (int rank = 0; rank < number_; ++rank)
      programs_.push_back(program_of(*call.algorithm, {call.collective, call.root, rank, number_, call.in_place[static_cast<size_t>(rank)],
                                                       call.uniform, places_.topology}));
  if (options_.drop_dependency) drop_dependency();
  size_t least = 8;
  for (const Program& program : programs_) least = std::max(least, size_t{program.largest_message} * 8);
  tile_bytes_ = least * dice_.one_of(std::vector<size_t>{1, 2, 7, 100, 4000});
  window_ = static_cast<uint32_t>(dice_.one_of(std::vector<int>{1, 2, 3, 8}));
  for (int r = 0; r < number_; ++r) {
    Rank& rank = ranks_[static_cast<size_t>(r)];
    rank.lanes.assign(static_cast<size_t>(number_) * kLanes, {kFirstNumber, kFirstNumber});
    std::vector<Route> routes;
    for (int peer = 0; peer < number_; ++peer) routes.push_back({&network_->transport_of(r, peer), &network_->endpoint(r, peer)});
    for (size_t c = 0; c < calls_.size(); ++c) {
      rank.plans.push_back(bind_plan(programs_[c * static_cast<size_t>(number_) + static_cast<size_t>(r)],
                                     blocks_of(calls_[c].collective, number_), routes));
      rank.executions.push_back(nullptr);
    }
    rank.parts.resize(rounds_.size());
  }
}

// Takes one dependency out of a program.
void World::drop_dependency() {
  bool dropped = false;
  for (int attempt = 0; attempt < 50 && !dropped; ++attempt) {
    Program& program = programs_[dice_.below(programs_.size())];
    if (program.dependents.empty()) continue;
    const uint32_t at = static_cast<uint32_t>(dice_.below(program.dependents.size()));
    for (Work& work : program.works) {
      if (at < work.first_dependent || at >= work.first_dependent + work.dependents) continue;
      --program.works[program.dependents[at]].dependencies;
      std::swap(program.dependents[at], program.dependents[work.first_dependent + work.dependents - 1]);
      --work.dependents;
      dropped = true;
      break;
    }
  }
}

bool World::begin_round(int r) {
  Rank& rank = ranks_[static_cast<size_t>(r)];
  if (rank.round == rounds_.size()) return false;
  const Call& call = round_calls_[rank.round];
  const size_t index = rounds_[rank.round];
  rank.parts[rank.round] = std::make_unique<Part>(call, r, number_, dice_);
  std::unique_ptr<Execution>& execution = rank.executions[index];
  const bool fresh = !execution;
  if (fresh) execution = std::make_unique<Execution>();
  Operation& operation = execution->operation();
  rank.parts[rank.round]->aim(operation);
  operation.number = stamp_of(rank.round + 1);
  const bool lists = !call.uniform;
  if (fresh || lists) {  // as a communicator does: what arrays say is read again
    operation.plan = rank.plans[index].get();
    operation.type = static_cast<Type>(call.type);
    operation.signature = (index + 1) << kCountBits;  // any bits will do, above those of a count
    operation.paired = call.paired;
    operation.streaming = call.streaming;
    operation.reduces = reduces(call.collective);
    if (reduces(call.collective)) {
      operation.op = call.op < kAvg ? static_cast<Op>(call.op) : Op::Sum;
      if (call.op == kAvg && is_float(operation.type)) {
        if (number_ > 1) operation.scale = scale_one_over(number_, operation.type);
      } else if (call.op == kAvg) {
        operation.divisor = number_;
        const uint32_t pieces = operation.plan->chunks / operation.plan->blocks;
        operation.divide_first = call.collective == Collective::ReduceScatter ? static_cast<uint32_t>(r) * pieces : 0;
        operation.divide_chunks = call.collective == Collective::Reduce && call.root != r ? 0 : pieces;
      }
    }
    execution->prepare(tile_bytes_);
  }
  if (call.op == kPreMulSum && reduces(call.collective)) {
    alignas(16) std::byte scalar[8];
    write_scalar(scalar, call.type, call.seed, r, call.exact);
    operation.scale = scale_from(scalar, operation.type);
  }
  execution->start(rank.lanes, window_);
  rank.begun = true;
  return true;
}

void World::end_round(int r) {
  Rank& rank = ranks_[static_cast<size_t>(r)];
  if (const std::string wrong = rank.parts[rank.round]->check_and_spoil(); !wrong.empty())
    complain(r, concat(text_of(round_calls_[rank.round]), ", round ", rank.round, ": ", wrong));
  ++rank.round;
  rank.begun = false;
  ++outcome_.calls;
}

void World::check_failure(int r, const Execution& execution) {
  ranks_[static_cast<size_t>(r)].failed = true;
  if (execution.mismatch()) return complain(r, "took a message for one of another call");
  if (execution.failed_peer() < 0 || !network_->is_cut(r, execution.failed_peer()))
    return complain(r, concat("blames rank ", execution.failed_peer(), ", and the line to it is not cut"));
  if (execution.failure().text() != "the line is cut") complain(r, concat("does not say why it fails: ", execution.failure().text()));
}

// Nothing moves any more. A rank may wait for one that has failed, or for one that waits for such a rank: its communicator would tell it.
// All others hang.
void World::check_waiting() {
  std::vector<bool> excused;
  for (const Rank& rank : ranks_) excused.push_back(rank.failed || rank.round == rounds_.size());
  const auto peers_of = [&](const Rank& rank) {
    return rank.begun ? rank.executions[rounds_[rank.round]]->waiting_for() : std::vector<int>();
  };
  const auto fails = [&](int peer) { return excused[static_cast<size_t>(peer)] && ranks_[static_cast<size_t>(peer)].round < rounds_.size(); };
  for (int pass = 0; pass < number_; ++pass)
    for (size_t r = 0; r < ranks_.size(); ++r) {
      const std::vector<int> peers = peers_of(ranks_[r]);
      if (!excused[r] && std::any_of(peers.begin(), peers.end(), fails)) excused[r] = true;
    }
  for (int r = 0; r < number_; ++r) {
    const Rank& rank = ranks_[static_cast<size_t>(r)];
    if (excused[static_cast<size_t>(r)]) continue;
    const std::vector<int> peers = peers_of(rank);
    complain(r, concat("hangs in ", text_of(round_calls_[rank.round]), ", round ", rank.round, ", and waits for ",
                       peers.empty() ? "nobody" : concat("rank ", peers[0])));
  }
}

bool World::step(int r) {
  Rank& rank = ranks_[static_cast<size_t>(r)];
  if (rank.failed) return false;
  bool moved = false;
  if (!rank.begun && !begin_round(r)) return false;
  network_->progress(r);
  Execution& execution = *rank.executions[rounds_[rank.round]];
  const Progress progress = execution.advance(moved);
  if (progress == Progress::Done) end_round(r);
  if (progress == Progress::Failed) check_failure(r, execution);
  return moved || progress != Progress::Again;
}

Outcome World::run() {
  while (!all_ended() && outcome_.wrong.empty()) {
    if (pace_.steps() == cut_at_) {
      const int one = dice_.between(0, number_ - 1);
      network_->cut(one, (one + dice_.between(1, number_ - 1)) % number_);
    }
    pace_.step(*network_, [&](int rank) { return step(rank); });
    if (!network_->complaint().empty()) complain(-1, network_->complaint());
    if (!pace_.over()) continue;
    check_waiting();
    break;
  }
  outcome_.steps = pace_.steps();
  outcome_.cut = std::any_of(ranks_.begin(), ranks_.end(), [](const Rank& rank) { return rank.failed; });
  if (outcome_.wrong.empty() && !outcome_.cut) {
    outcome_.wrong = network_->left_over();
    for (int r = 0; r < number_ && outcome_.wrong.empty(); ++r)
      for (int peer = 0; peer < number_; ++peer)
        for (int channel = 0; channel < kLanes; ++channel)
          if (ranks_[static_cast<size_t>(r)].lanes[static_cast<size_t>(peer * kLanes + channel)].sent !=
              ranks_[static_cast<size_t>(peer)].lanes[static_cast<size_t>(r * kLanes + channel)].received)
            complain(r, concat("counts other messages to rank ", peer, " than that rank does"));
  }
  for (int r = 0; r < number_ && outcome_.wrong.empty(); ++r)
    for (const std::unique_ptr<Part>& part : ranks_[static_cast<size_t>(r)].parts)
      if (const std::string changed = part ? part->changed() : ""; !changed.empty()) complain(r, changed);
  outcome_.what = concat(number_, " ranks on ", places_.hosts.back() + 1, " hosts, tiles of ", tile_bytes_, ", ", window_, " at once");
  for (const size_t call : rounds_) outcome_.what += concat("; ", text_of(calls_[call]));
  return outcome_;
}

}  // namespace

Outcome run_world(uint64_t seed, const Options& options) { return World(seed, options).run(); }

}  // namespace tutti::test::world
