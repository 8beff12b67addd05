// comms: see comms.h.
#include "tests/world/comms.h"

#include <algorithm>
#include <cstdlib>

#include "tests/world/council.h"
#include "tests/world/draw.h"
#include "tests/world/pace.h"

namespace tutti::test::world {
namespace {

// What one round's batch asks of all ranks.
struct Round {
  std::vector<Call> collectives;
  struct Single {
    int from, to;
    size_t bytes;
    uint64_t seed;
  };
  std::vector<Single> singles;
};

// One rank's communicator.
struct Rank {
  Rank(int number, int ranks, const Settings& settings) : life(number), underway(options_for(number, ranks), settings, links, life, ops) {}
  const CommOptions& options_for(int number, int ranks) {
    options.rank = number;
    options.ranks = ranks;
    options.timeout_s = 1;
    options.name = "world";
    return options;
  }
  CommOptions options;
  Life life;
  Links links;
  Ops ops;
  Underway underway;

  size_t round = 0;
  bool begun = false;
  std::vector<tutti::Call> calls;                       // of the batch under way
  std::vector<std::unique_ptr<Part>> parts;             // its collectives, then those of the rounds before
  std::vector<std::vector<std::byte>> received, sent;   // its sends and receives
  Status ended;
  bool over(size_t rounds) const { return round == rounds || !ended.ok(); }
};

CallKind kind_of_call(const Call& call) {
  if (call.uniform) return static_cast<CallKind>(call.collective);
  return call.collective == Collective::AllGather       ? CallKind::AllGatherV
         : call.collective == Collective::ReduceScatter ? CallKind::ReduceScatterV
                                                        : CallKind::AlltoAllV;
}

class Comms {
 public:
  Comms(uint64_t seed, Trouble trouble);
  Outcome run();

 private:
  Call draw_collective();
  void draw_rounds();
  void open_ranks(uint64_t seed);
  const Call& collective_of_rank(int rank, size_t round, size_t index) const;
  tutti::Call call_of(const Call& call, const Part& part, int rank) const;
  void begin_round(int rank);
  void end_round(int rank);
  bool step(int rank);
  void make_trouble();
  void check_ends();
  std::string wrong_end(int rank) const;
  void complain(int rank, const std::string& text) {
    if (outcome_.wrong.empty()) outcome_.wrong = concat("rank ", rank, ": ", text);
  }

  const Trouble trouble_;
  Dice dice_;
  const Places places_;
  const int number_ = places_.ranks();
  Pace pace_{dice_, number_};
  std::vector<Round> rounds_;
  size_t other_round_ = SIZE_MAX;  // Trouble::Mismatch: in this round guilty_ calls other_
  int guilty_ = -1;
  Call other_;
  std::unique_ptr<Network> network_;
  uint64_t trouble_at_ = UINT64_MAX;  // the step in which a line is cut, or a rank aborts
  Council council_{dice_, pace_.steps(), {}, {}, {}, {}};
  std::vector<std::unique_ptr<Rank>> ranks_;
  Outcome outcome_;
};

// One that the C API has, too.
Call Comms::draw_collective() {
  for (;;) {
    Call call = draw_call(dice_, places_);
    const bool may_be_unequal =
        call.collective == Collective::AllGather || call.collective == Collective::ReduceScatter || call.collective == Collective::AlltoAll;
    call.seed = dice_.next();
    if (call.uniform || may_be_unequal) return call;
  }
}

void Comms::draw_rounds() {
  const int count = dice_.between(1, 5);
  for (int i = 0; i < count; ++i) {
    if (i > 0 && dice_.chance(50)) {  // the same once more, as in a training loop
      rounds_.push_back(rounds_[dice_.below(rounds_.size())]);
      for (Call& call : rounds_.back().collectives) {
        call.seed = dice_.next();
        if (std::find(call.in_place.begin(), call.in_place.end(), true) == call.in_place.end()) continue;
        for (size_t rank = 0; rank < call.in_place.size(); ++rank)  // the same call, in place or not
          if (!has_root(call.collective) || static_cast<int>(rank) == call.root) call.in_place[rank] = dice_.chance(50);
      }
      continue;
    }
    Round& round = rounds_.emplace_back();
    for (int n = dice_.between(dice_.chance(80) ? 1 : 0, 2); n > 0; --n) round.collectives.push_back(draw_collective());
    for (int n = dice_.chance(30) ? dice_.between(1, 12) : 0; n > 0; --n)
      round.singles.push_back({dice_.between(0, number_ - 1), dice_.between(0, number_ - 1), static_cast<size_t>(dice_.spread(1, 20000)), dice_.next()});
  }
  if (trouble_ != Trouble::Mismatch || number_ < 2) return;
  for (size_t i = 0; i < rounds_.size(); ++i)
    if (!rounds_[i].collectives.empty()) other_round_ = i;
  if (other_round_ == SIZE_MAX) return;
  guilty_ = dice_.between(0, number_ - 1);
  other_ = draw_collective();
}

const Call& Comms::collective_of_rank(int rank, size_t round, size_t index) const {
  return rank == guilty_ && round == other_round_ && index == 0 ? other_ : rounds_[round].collectives[index];
}

Comms::Comms(uint64_t seed, Trouble trouble) : trouble_(trouble), dice_(seed, 3), places_(draw_places(dice_)) {
  draw_rounds();
  std::string forced;
  for (const Round& round : rounds_)
    for (const Call& call : round.collectives)
      if (dice_.chance(70) && call.algorithm->applies({call.collective, 0, 0, number_, false, true, places_.topology}))
        forced += concat(forced.empty() ? "" : ",", tutti::name_of(call.collective), ":", call.algorithm->name);
  setenv("TUTTI_ALGO", forced.c_str(), 1);
  setenv("TUTTI_TILE", dice_.one_of(std::vector<const char*>{"4096", "10000", "128K"}), 1);
  setenv("TUTTI_TILES_IN_FLIGHT", dice_.one_of(std::vector<const char*>{"1", "2", "3", "8"}), 1);
  setenv("TUTTI_CACHE", dice_.one_of(std::vector<const char*>{"1K", "1G"}), 1);
  open_ranks(seed);
  for (const char* name : {"TUTTI_ALGO", "TUTTI_TILE", "TUTTI_TILES_IN_FLIGHT", "TUTTI_CACHE"}) unsetenv(name);
  if (number_ > 1 && (trouble == Trouble::Cut || trouble == Trouble::Abort)) trouble_at_ = static_cast<uint64_t>(dice_.spread(1, 2000));
}

void Comms::open_ranks(uint64_t seed) {
  network_ = std::make_unique<Network>(seed, places_.hosts, Planted::None, 0);
  const Result<Settings> settings = Settings::load();
  if (!settings.ok()) return complain(-1, settings.status().text());
  council_.due.assign(static_cast<size_t>(number_), UINT64_MAX);
  for (int r = 0; r < number_; ++r) {
    Rank& rank = *ranks_.emplace_back(std::make_unique<Rank>(r, number_, settings.value()));
    rank.links.transports = network_->make_transports(r);
    for (int peer = 0; peer < number_; ++peer) {
      const bool near = places_.hosts[static_cast<size_t>(r)] == places_.hosts[static_cast<size_t>(peer)];
      rank.links.routes.push_back({rank.links.transports[near ? 0 : 1].get(), &network_->endpoint(r, peer)});
    }
    rank.links.topology = places_.topology;
    rank.links.control = std::make_unique<WorldControl>(council_);
    rank.life.start_meeting();
    (void)rank.life.start_connecting(*rank.links.control);
    if (const Status opened = rank.underway.open(); !opened.ok()) complain(r, opened.text());
    rank.life.finish_connecting(rank.links.transports);
    council_.ranks.push_back(&rank.underway);
  }
}

tutti::Call Comms::call_of(const Call& call, const Part& part, int rank) const {
  tutti::Call made;
  made.kind = kind_of_call(call);
  made.type = static_cast<Type>(call.type);
  made.root = call.root;
  made.send = part.input();
  made.recv = part.output();
  if (call.uniform) {
    made.count = call.counts[0];
  } else {
    made.blocks = std::make_unique<tutti::Call::Blocks>(
        tutti::Call::Blocks{part.in_counts(), part.in_starts(), part.out_counts(), part.out_starts()});
  }
  if (!reduces(call.collective)) return made;
  made.op = call.op;
  if (call.op != kPreMulSum) return made;
  alignas(16) std::byte scalar[8];
  write_scalar(scalar, call.type, call.seed, rank, call.exact);
  made.op = ranks_[static_cast<size_t>(rank)]->ops.add(scalar, made.type, true);
  return made;
}

void Comms::begin_round(int r) {
  Rank& rank = *ranks_[static_cast<size_t>(r)];
  const Round& round = rounds_[rank.round];
  rank.calls.clear();
  rank.received.clear();
  rank.sent.clear();
  std::vector<std::unique_ptr<Part>> parts;
  for (size_t i = 0; i < round.collectives.size(); ++i) {
    const Call& call = collective_of_rank(r, rank.round, i);
    parts.push_back(std::make_unique<Part>(call, r, number_, dice_));
    rank.calls.push_back(call_of(call, *parts.back(), r));
  }
  std::move(rank.parts.begin(), rank.parts.end(), std::back_inserter(parts));
  rank.parts = std::move(parts);
  for (const Round::Single& single : round.singles)
    for (const bool sends : {true, false}) {
      if ((sends ? single.from : single.to) != r) continue;
      std::vector<std::byte>& bytes = (sends ? rank.sent : rank.received).emplace_back(single.bytes);
      if (sends) write_input(bytes.data(), tuttiUint8, Fill::Bits, single.seed, r, 0, single.bytes);
      tutti::Call call;
      call.kind = CallKind::PointToPoint;
      call.sends = sends;
      call.root = sends ? single.to : single.from;
      call.count = single.bytes;
      call.send = sends ? bytes.data() : nullptr;
      call.recv = sends ? nullptr : bytes.data();
      rank.calls.push_back(std::move(call));
    }
  rank.begun = true;
  rank.underway.load(rank.calls);
}

void Comms::end_round(int r) {
  Rank& rank = *ranks_[static_cast<size_t>(r)];
  const Round& round = rounds_[rank.round];
  for (size_t i = 0; i < round.collectives.size(); ++i) {
    const std::string wrong = rank.parts[i]->check_and_spoil();
    // What the guilty rank calls alone has no right result.
    if (!wrong.empty() && (r != guilty_ || rank.round != other_round_))
      complain(r, concat(text_of(round.collectives[i]), ", round ", rank.round, ": ", wrong));
  }
  size_t next = 0;
  for (const Round::Single& single : round.singles) {
    if (single.to != r) continue;
    const std::vector<std::byte>& got = rank.received[next++];
    const std::string wrong = compare_copied(tuttiUint8, Fill::Bits, single.seed, single.from, 0, single.bytes, got.data());
    if (!wrong.empty()) complain(r, concat("a message from rank ", single.from, ", round ", rank.round, ": ", wrong));
  }
  for (std::vector<std::byte>& bytes : rank.sent) std::fill(bytes.begin(), bytes.end(), std::byte{0xdd});
  ++rank.round;
  rank.begun = false;
  ++outcome_.calls;
}

bool Comms::step(int r) {
  Rank& rank = *ranks_[static_cast<size_t>(r)];
  const bool hears = council_.first && pace_.steps() >= council_.due[static_cast<size_t>(r)];
  if (hears) rank.life.hear(*council_.first);
  if (rank.over(rounds_.size())) return false;
  if (!rank.begun) begin_round(r);
  bool moved = false;
  const Progress progress = rank.underway.advance(moved);
  if (progress == Progress::Done) end_round(r);
  if (progress == Progress::Failed) {
    rank.ended = rank.underway.status();
    rank.calls.clear();
    for (const std::unique_ptr<Part>& part : rank.parts) (void)part->check_and_spoil();  // the memory may be freed from now on
  }
  return moved || progress != Progress::Again;
}

void Comms::make_trouble() {
  const int one = dice_.between(0, number_ - 1);
  guilty_ = one;
  if (trouble_ == Trouble::Cut) network_->cut(one, (one + dice_.between(1, number_ - 1)) % number_);
  if (trouble_ == Trouble::Abort) ranks_[static_cast<size_t>(one)]->life.abort();
}

// "" or why the rank must not end like this.
std::string Comms::wrong_end(int r) const {
  const Rank& rank = *ranks_[static_cast<size_t>(r)];
  if (rank.ended.ok()) return rank.round == rounds_.size() ? "" : "hangs";
  const auto is = [&](Code code, const char* text) { return rank.ended.code() == code && rank.ended.text().find(text) != std::string::npos; };
  switch (trouble_) {
    case Trouble::None: break;
    case Trouble::Cut:
      if (is(Code::RemoteError, "the line is cut")) return "";
      break;
    case Trouble::Abort:
      if (r == guilty_ ? is(Code::InvalidUsage, "was aborted on this rank") : is(Code::RemoteError, "aborted the communicator")) return "";
      break;
    case Trouble::Mismatch:
      if (is(Code::InvalidUsage, "different calls") || is(Code::InvalidUsage, "expected")) return "";
      break;
  }
  return concat("fails with: ", rank.ended.text());
}

void Comms::check_ends() {
  for (int r = 0; r < number_; ++r) {
    const Rank& rank = *ranks_[static_cast<size_t>(r)];
    if (const std::string wrong = wrong_end(r); !wrong.empty())
      complain(r, concat(wrong, " (round ", rank.round, ", ", rank.underway.activity(0).text, ")"));
    for (const std::unique_ptr<Part>& part : rank.parts)
      if (const std::string changed = part->changed(); !changed.empty()) complain(r, changed);
    outcome_.cut |= !rank.ended.ok();
  }
}

Outcome Comms::run() {
  const auto all_over = [&] {
    return std::all_of(ranks_.begin(), ranks_.end(), [&](const auto& rank) { return rank->over(rounds_.size()); });
  };
  while (!all_over() && outcome_.wrong.empty()) {
    if (pace_.steps() == trouble_at_) make_trouble();
    council_.answer();
    pace_.step(*network_, [&](int rank) { return step(rank); });
    if (!network_->complaint().empty()) complain(-1, network_->complaint());
    if (council_.still_to_come()) pace_.stir();
    if (!pace_.over()) continue;
    if (trouble_ != Trouble::Mismatch || council_.first) break;  // a hang
    for (const auto& rank : ranks_)  // the timeout has passed
      if (!rank->over(rounds_.size())) rank->underway.report_timeout();
    pace_.stir();
  }
  outcome_.steps = pace_.steps();
  check_ends();
  if (outcome_.wrong.empty() && trouble_ == Trouble::None) outcome_.wrong = network_->left_over();
  outcome_.what = concat(number_, " ranks on ", places_.hosts.back() + 1, " hosts");
  for (const Round& round : rounds_) {
    outcome_.what += "; ";
    for (const Call& call : round.collectives) outcome_.what += concat(text_of(call), ", ");
    outcome_.what += concat(round.singles.size(), " messages");
  }
  if (other_round_ != SIZE_MAX) outcome_.what += concat("; rank ", guilty_, " calls ", text_of(other_), " in round ", other_round_);
  return outcome_;
}

}  // namespace

Outcome run_comms(uint64_t seed, Trouble trouble) { return Comms(seed, trouble).run(); }

}  // namespace tutti::test::world
