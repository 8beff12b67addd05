// simulate: see simulate.h.
#include "lib/sched/simulate.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <unordered_map>

#include "lib/sched/effort.h"
#include "lib/sched/wiring.h"

namespace tutti {
namespace {

constexpr double kPerSecond = 1e12;
constexpr uint64_t kWorksBetweenReports = 4096;

struct Cut {
  uint64_t tiles, slice, block;  // bytes
  uint32_t pieces, chunks;

  // Of chunks [first, first + count) of a tile: chunks may be those of scratch, which repeat.
  uint64_t bytes(uint64_t tile, uint32_t first, uint32_t count) const {
    const uint64_t from = std::min(tile * slice, block), length = std::min(from + slice, block) - from;
    const auto before = [&](uint32_t chunk) { return chunk / pieces * length + length * (chunk % pieces) / pieces; };
    return before(first + count) - before(first);
  }
};

class Simulator {
 public:
  // processors: by rank.
  Simulator(std::vector<RankPlan> plans, const std::vector<uint32_t>& processors, Network& network, const Cut& cut,
            const SimulationOptions& options)
      : plans_(std::move(plans)), network_(network), cut_(cut), options_(options), ranks_(plans_.size()) {
    for (size_t rank = 0; rank < ranks_.size(); ++rank) ranks_[rank].processor = processors[rank];
    processors_.resize(plans_.size());
    result_.ranks.resize(plans_.size());
    result_.tiles = cut.tiles;
    for (const RankPlan& plan : plans_) works_in_all_ += plan.works.size() * cut.tiles;
    if (options.load_slots == 0) return;
    first_rank_row_ = 2 * network.used().size();
    result_.loads = Loads(first_rank_row_ + plans_.size(), options.load_slots);
    network.flows().watch(result_.loads);
  }

  Result<Simulation> run() {
    for (uint32_t rank = 0; rank < ranks_.size(); ++rank) {
      if (plans_[rank].works.empty()) {
        ranks_[rank].tiles_done = cut_.tiles;
        continue;
      }
      ranks_[rank].instances.resize(static_cast<size_t>(std::min<uint64_t>(options_.window, cut_.tiles)));
      for (uint32_t i = 0; i < ranks_[rank].instances.size(); ++i) begin(rank, i);
    }
    std::vector<uint32_t> done;
    for (;;) {
      const Picoseconds transfer = network_.flows().next(now_);
      if (events_.empty() && transfer == kNever) break;
      now_ = std::min(transfer, events_.empty() ? kNever : events_.top().time);
      if (now_ >= kLongest) return fail(Code::InvalidArgument, "this takes longer than can be counted (26 days)");
      done.clear();
      network_.flows().collect(now_, done);
      for (const uint32_t tag : done) transferred(tag);
      while (!events_.empty() && events_.top().time == now_) {
        const Event event = events_.top();
        events_.pop();
        event.kind == Event::Kind::Arrival ? arrive(event.rank, event.work, event.tile) : go_on(event.rank);
      }
    }
    for (uint32_t rank = 0; rank < ranks_.size(); ++rank)
      if (ranks_[rank].tiles_done < cut_.tiles)
        return fail(Code::InternalError, "simulate: rank ", rank, " waits for ever in tile ", ranks_[rank].tiles_done);
    result_.links = network_.used();
    return std::move(result_);
  }

 private:
  static constexpr uint32_t kNobody = ~0u;
  struct Event {
    enum class Kind : uint8_t { Step, Arrival } kind;
    Picoseconds time;
    uint64_t order;
    uint32_t rank, work;
    uint64_t tile;
    bool operator>(const Event& other) const { return time != other.time ? time > other.time : order > other.order; }
  };
  struct Instance {
    uint64_t tile = 0;
    uint32_t works_left = 0;
    std::vector<uint32_t> waiting;  // per work: dependencies; a Combine's messages on top; a Send that left: transfers
  };
  struct Task {
    uint32_t instance, work;
  };
  struct Core {
    std::vector<Instance> instances;
    uint64_t next_tile = 0, tiles_done = 0;
    std::deque<Task> ready;  // the first is what the rank is at, while busy
    bool busy = false;
    uint32_t next = 0;   // of the first: Send: target to be posted; Combine: 0 before, 1 after the pulls were begun
    uint32_t pulls = 0;  // under way
    uint32_t processor = 0;
    bool queued = false;  // for the processor
    Picoseconds began = 0;
    std::unordered_map<uint64_t, std::vector<uint32_t>> early;  // tile not yet begun: works whose messages came
  };
  // Ranks that share one take turns: each goes on as long as it has something to do.
  struct Processor {
    uint32_t running = kNobody, last = kNobody;
    std::deque<uint32_t> waiting;  // ranks
  };
  // What a flow's tag stands for.
  struct Transfer {
    uint32_t rank, work, instance, target;  // the sender's; target kPull: a pull of the rank's
    Picoseconds began;
  };
  static constexpr uint32_t kPull = ~0u;

  void at(Picoseconds time, Event::Kind kind, uint32_t rank, uint32_t work = 0, uint64_t tile = 0) {
    events_.push({kind, time, order_++, rank, work, tile});
  }
  static Picoseconds touching(uint32_t times, uint64_t bytes) {
    return at_most_longest(std::round(static_cast<double>(bytes) * times / effort::kWorkBytesPerSecond * kPerSecond));
  }
  uint64_t bytes_of(const Work& work, uint64_t tile) const {
    return cut_.bytes(tile, work.ref.chunk % cut_.chunks, work.chunks);
  }

  void begin(uint32_t rank, uint32_t index) {
    Core& core = ranks_[rank];
    Instance& instance = core.instances[index];
    const RankPlan& plan = plans_[rank];
    instance.tile = core.next_tile++;
    instance.works_left = static_cast<uint32_t>(plan.works.size());
    instance.waiting.resize(plan.works.size());
    for (uint32_t w = 0; w < plan.works.size(); ++w)
      instance.waiting[w] = plan.program->works[w].dependencies + plan.works[w].messages;
    if (const auto it = core.early.find(instance.tile); it != core.early.end()) {
      for (const uint32_t w : it->second) --instance.waiting[w];
      core.early.erase(it);
    }
    for (uint32_t w = 0; w < plan.works.size(); ++w)
      if (instance.waiting[w] == 0) core.ready.push_back({index, w});
    start(rank);
  }

  void start(uint32_t rank) {
    Core& core = ranks_[rank];
    if (core.busy || core.ready.empty()) return;
    Processor& processor = processors_[core.processor];
    if (processor.running != kNobody && processor.running != rank) {
      if (!core.queued) processor.waiting.push_back(rank);
      core.queued = true;
      return;
    }
    const bool switches = processor.last != rank && processor.last != kNobody;
    processor.running = processor.last = rank;
    core.busy = true;
    core.next = 0;
    core.began = now_;
    const Task task = core.ready.front();
    const RankPlan& plan = plans_[rank];
    const Work& work = plan.program->works[task.work];
    const Detail& detail = plan.works[task.work];
    Picoseconds busy = touching(detail.touched, bytes_of(work, core.instances[task.instance].tile)) + detail.effort;
    if (work.kind == Work::Kind::Send) busy += plan.targets[work.first].way.effort;
    if (switches) busy += std::llround(kSwitchSeconds * kPerSecond);
    at(now_ + busy, Event::Kind::Step, rank);
  }

  // What the rank was busy with has come to a point.
  void go_on(uint32_t rank) {
    Core& core = ranks_[rank];
    const Task task = core.ready.front();
    const RankPlan& plan = plans_[rank];
    const Work& work = plan.program->works[task.work];
    Instance& instance = core.instances[task.instance];
    const uint64_t bytes = bytes_of(work, instance.tile);
    if (work.kind == Work::Kind::Send) {
      const uint32_t target = work.first + core.next++;
      post(rank, task, target, bytes);
      if (core.next < work.count) return at(now_ + plan.targets[target + 1].way.effort, Event::Kind::Step, rank);
    } else if (core.next == 0 && bytes > 0) {
      core.next = 1;
      const Detail& detail = plan.works[task.work];
      for (uint32_t i = detail.first_pull; i < detail.first_pull + detail.pulls; ++i) {
        network_.flows().start(plan.pulls[i].path, static_cast<double>(bytes * plan.pulls[i].messages),
                               tag({rank, task.work, task.instance, kPull, now_}), now_);
        ++core.pulls;
      }
      if (core.pulls > 0) return;
    }
    leave(rank);
  }

  // The rank is free for the next work.
  void leave(uint32_t rank) {
    Core& core = ranks_[rank];
    const Task task = core.ready.front();
    const Work& work = plans_[rank].program->works[task.work];
    core.ready.pop_front();
    core.busy = false;
    result_.ranks[rank].busy_s += static_cast<double>(now_ - core.began) / kPerSecond;
    if (options_.load_slots > 0)
      result_.loads.add(first_rank_row_ + rank, static_cast<double>(now_ - core.began) / kPerSecond, core.began, now_);
    note(work.kind == Work::Kind::Send ? SimulationEvent::Kind::Send : SimulationEvent::Kind::Combine, rank, -1, 0, task,
         core.began, now_, now_);
    // A Send whose payload is still on its way is done later.
    if (core.instances[task.instance].waiting[task.work] == 0) finish(rank, task);
    if (!core.ready.empty()) return start(rank);
    Processor& processor = processors_[core.processor];
    processor.running = kNobody;
    if (processor.waiting.empty()) return;
    const uint32_t next = processor.waiting.front();
    processor.waiting.pop_front();
    ranks_[next].queued = false;
    start(next);
  }

  void post(uint32_t rank, const Task& task, uint32_t target, uint64_t bytes) {
    const Message& message = plans_[rank].targets[target];
    Instance& instance = ranks_[rank].instances[task.instance];
    ++result_.messages;
    if (message.way.memory || bytes == 0) {
      const Picoseconds arrival = now_ + message.way.latency;
      note(message.way.memory ? SimulationEvent::Kind::InMemory : SimulationEvent::Kind::Transfer, rank, static_cast<int>(message.rank),
           message.work, task, now_, now_, arrival);
      return at(arrival, Event::Kind::Arrival, message.rank, message.work, instance.tile);
    }
    ++instance.waiting[task.work];
    if (message.connection >= connections_.size()) connections_.resize(message.connection + 1);
    std::deque<uint32_t>& queue = connections_[message.connection];
    queue.push_back(tag({rank, task.work, task.instance, target, now_}));
    if (queue.size() == 1) transfer(queue.front());
  }

  // The first message of a connection sets out.
  void transfer(uint32_t tag) {
    Transfer& transfer = transfers_[tag];
    const RankPlan& plan = plans_[transfer.rank];
    const uint64_t tile = ranks_[transfer.rank].instances[transfer.instance].tile;
    transfer.began = now_;
    network_.flows().start(plan.targets[transfer.target].way.path,
                           static_cast<double>(bytes_of(plan.program->works[transfer.work], tile)), tag, now_);
  }

  uint32_t tag(const Transfer& transfer) {
    if (free_.empty()) {
      transfers_.push_back(transfer);
      return static_cast<uint32_t>(transfers_.size() - 1);
    }
    const uint32_t tag = free_.back();
    free_.pop_back();
    transfers_[tag] = transfer;
    return tag;
  }

  void transferred(uint32_t tag) {
    const Transfer transfer = transfers_[tag];
    free_.push_back(tag);
    Core& core = ranks_[transfer.rank];
    if (transfer.target == kPull) {
      if (--core.pulls == 0) leave(transfer.rank);
      return;
    }
    const Task task{transfer.instance, transfer.work};
    Instance& instance = core.instances[transfer.instance];
    const Message& message = plans_[transfer.rank].targets[transfer.target];
    std::deque<uint32_t>& queue = connections_[message.connection];
    queue.pop_front();
    if (!queue.empty()) this->transfer(queue.front());
    const bool longer = bytes_of(plans_[transfer.rank].program->works[task.work], instance.tile) > effort::kSegmentBytes;
    const Picoseconds arrival = now_ + message.way.latency + (longer ? message.way.longer : 0);
    at(arrival, Event::Kind::Arrival, message.rank, message.work, instance.tile);
    note(SimulationEvent::Kind::Transfer, transfer.rank, static_cast<int>(message.rank), message.work, task, transfer.began, now_, arrival);
    const bool posting = core.busy && core.ready.front().instance == task.instance && core.ready.front().work == task.work;
    if (--instance.waiting[task.work] == 0 && !posting) {
      finish(transfer.rank, task);
      start(transfer.rank);
    }
  }

  void arrive(uint32_t rank, uint32_t work, uint64_t tile) {
    Core& core = ranks_[rank];
    for (uint32_t i = 0; i < core.instances.size(); ++i) {
      Instance& instance = core.instances[i];
      if (instance.tile != tile || instance.works_left == 0) continue;
      if (--instance.waiting[work] == 0) core.ready.push_back({i, work});
      return start(rank);
    }
    core.early[tile].push_back(work);
  }

  void finish(uint32_t rank, const Task& task) {
    if (++works_done_ % kWorksBetweenReports == 0 && options_.progress)
      options_.progress(static_cast<double>(works_done_) / static_cast<double>(works_in_all_));
    Core& core = ranks_[rank];
    Instance& instance = core.instances[task.instance];
    const Program& program = *plans_[rank].program;
    const Work& work = program.works[task.work];
    // What this made possible comes next, before other tiles; an interrupted work stays in front.
    auto next = core.ready.begin() + (core.busy ? 1 : 0);
    for (uint32_t d = work.first_dependent; d < work.first_dependent + work.dependents; ++d)
      if (--instance.waiting[program.dependents[d]] == 0)
        next = core.ready.insert(next, {task.instance, program.dependents[d]}) + 1;
    if (--instance.works_left == 0) end_tile(rank, task.instance);
  }

  void end_tile(uint32_t rank, uint32_t instance) {
    Core& core = ranks_[rank];
    if (++core.tiles_done == cut_.tiles) {
      result_.ranks[rank].finish_s = static_cast<double>(now_) / kPerSecond;
      result_.seconds = std::max(result_.seconds, result_.ranks[rank].finish_s);
    }
    if (core.next_tile < cut_.tiles) begin(rank, instance);
  }

  void note(SimulationEvent::Kind kind, uint32_t rank, int peer, uint32_t peer_work, const Task& task, Picoseconds began,
            Picoseconds ended, Picoseconds arrival) {
    if (options_.most_events == 0) return;
    if (result_.events.size() == options_.most_events) {
      result_.events_cut = true;
      return;
    }
    const uint64_t tile = ranks_[rank].instances[task.instance].tile;
    result_.events.push_back({kind, static_cast<int32_t>(rank), peer, task.work, static_cast<uint32_t>(tile), peer_work,
                              bytes_of(plans_[rank].program->works[task.work], tile),
                              static_cast<double>(began) / kPerSecond, static_cast<double>(ended) / kPerSecond,
                              static_cast<double>(arrival) / kPerSecond});
  }

  const std::vector<RankPlan> plans_;
  Network& network_;
  const Cut cut_;
  const SimulationOptions options_;
  std::vector<Core> ranks_;
  std::vector<Processor> processors_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<Transfer> transfers_;                // by tag
  std::vector<std::deque<uint32_t>> connections_;  // tags; the first is on its way
  std::vector<uint32_t> free_;                     // tags
  Picoseconds now_ = 0;
  uint64_t order_ = 0;
  uint64_t works_done_ = 0, works_in_all_ = 0;  // works times tiles, of all ranks
  size_t first_rank_row_ = 0;                   // of loads
  Simulation result_;
};

// A number per rank; equal ones share a processor. At most as many as ranks.
std::vector<uint32_t> processors_of(const Topology& topology, uint32_t cores, bool one_machine) {
  size_t level = 0;  // the first of memory: hosts are the places outside of it
  while (level < topology.levels().size() && !topology.levels()[level].memory) ++level;
  std::vector<uint32_t> processors, seats(static_cast<size_t>(topology.ranks()));
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> known;  // (host, core)
  for (int rank = 0; rank < topology.ranks(); ++rank) {
    const uint32_t host = level == 0 || one_machine ? 0 : topology.place_in_all(rank, level - 1);
    const uint32_t seat = seats[host]++;
    processors.push_back(
        known.try_emplace({host, cores == 0 ? seat : seat % cores}, static_cast<uint32_t>(known.size())).first->second);
  }
  return processors;
}

}  // namespace

Result<Simulation> simulate(const Topology& topology, std::span<const Program> programs, uint32_t blocks, uint64_t bytes,
                            const SimulationOptions& options) {
  if (programs.empty() || programs.size() != static_cast<size_t>(topology.ranks()))
    return fail(Code::InternalError, "simulate: ", programs.size(), " programs for ", topology.ranks(), " ranks");
  const Program& first = programs[0];
  if (options.window == 0 || options.tile_bytes < first.largest_message)
    return fail(Code::InvalidArgument, "a message of ", first.largest_message, " chunks does not fit a tile of ",
                options.tile_bytes, " bytes: raise it");
  Cut cut{1, 0, bytes / blocks, first.chunks / blocks, first.chunks};
  cut.slice = options.tile_bytes / first.largest_message * cut.pieces;
  cut.tiles = std::max<uint64_t>(1, (cut.block + cut.slice - 1) / cut.slice);
  Network network(topology);
  Result<std::vector<RankPlan>> plans = wire(programs, network);
  if (!plans.ok()) return plans.status();
  return Simulator(std::move(plans.value()), processors_of(topology, options.cores, options.one_machine), network, cut, options).run();
}

}  // namespace tutti
