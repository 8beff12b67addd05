// comm: see comm.h. How a rank leaves is in leave.cc, how a communicator is split in split.cc, the waiting loop in drive.cc.
#include "lib/comm/comm.h"

#include "lib/comm/split.h"
#include "lib/transport/faulty.h"

namespace tutti {
namespace {

CommOptions with_timeout(CommOptions options, const Settings& settings) {
  if (options.timeout_s <= 0) options.timeout_s = settings.seconds(Setting::Timeout);
  return options;
}

}  // namespace

Comm::Comm(CommOptions options, Settings settings)
    : options_(with_timeout(std::move(options), settings)),
      settings_(std::move(settings)),
      life_(options_.rank),
      underway_(options_, settings_, links_, life_, ops_) {}

Comm::~Comm() {
  if (init_thread_.joinable()) init_thread_.join();
  for (const auto& transport : links_.transports) transport->quiesce();
  links_.control.reset();  // its thread reports failures, which wake transports: it ends first
}

Status Comm::check(const Settings& settings) {
  TUTTI_TRY(check_transports(settings));
  TUTTI_TRY(settings.about(Setting::Algo, ForcedAlgorithms::parse(settings.text(Setting::Algo)).status()));
  return settings.about(Setting::Fault, check_faults(settings.text(Setting::Fault)));
}

Status Comm::init() {
  life_.start_meeting();
  Status status;
  try {
    status = connect();
  } catch (const std::exception&) {
    status = Status::out_of_memory();
  }
  if (!status.ok()) {
    life_.fail({status.code(), -1, status.text()});
    status = life_.failure();  // the first one, which may have come before this one
  }
  life_.finish_connecting(links_.transports);
  return status;
}

Status Comm::init_in_background() {
  life_.start_meeting();  // before the thread runs, so that others wait for it
  Status started = start_thread(&init_thread_, "tutti-init", [this] { (void)init(); });  // state() reports
  if (!started.ok()) {
    life_.fail({started.code(), -1, started.text()});
    life_.finish_connecting({});  // others wait no longer
  }
  return started;
}

Status Comm::connect() {
  if (options_.alone_by_id) retire_unique_id(settings_, options_.id);
  const Control::Callbacks callbacks{[this](const Cause& cause) { life_.hear(cause); },
                                     [this](uint64_t asked) { return life_.has_met() ? underway_.activity(asked) : Activity{0, 0, "joining"}; }};
  TUTTI_TRY(join(options_, settings_, life_, callbacks, links_));
  regions_.open(links_.transports);
  return underway_.open();
}

Status Comm::run_in_turn(std::span<const Call> calls) {
  wait_turn(take_ticket());
  struct Turn {  // ends also when memory runs out
    Turns& turns;
    ~Turn() { turns.end(); }
  } turn{turns_};
  return underway_.run(calls);
}

Result<CommOptions> Comm::split(int color, int key) {
  if (!links_.control) return child_alone(options_, color);
  struct Splitting {
    Underway& underway;
    explicit Splitting(Underway& one) : underway(one) { underway.note_split(true); }
    ~Splitting() { underway.note_split(false); }
  } splitting(underway_);
  Result<CommOptions> child = split_comm(options_, settings_, *links_.control, color, key);
  if (!child.ok() && life_.failed()) return life_.failure();
  return child;
}

}  // namespace tutti
