// server: a listening socket, its connections and one thread in poll(); what it is for is the business of its Service.
//
// Strangers cannot hurt it: a connection that has not proved the key within 5 s is closed, and until then only the few bytes of a
// handshake are read from it. There may be Service::most_unproved() such connections. One more closes the oldest of the source (host or user) that has most
// of them. A service sees only peers that have proved the key.
// When the service is finished, what was sent to the peers is still flushed, for a second at most.
#pragma once
#include <poll.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/base/thread.h"
#include "lib/boot/address.h"
#include "lib/boot/bell.h"
#include "lib/boot/connection.h"

namespace tutti {

struct Peer {
  Connection connection;
  int64_t since_ns;       // accepted
  Address source;
  int rank = -1;          // for the service: known after its first message
  bool unwanted = false;  // set by the service: close it, without on_closed()
};

// All calls come from the server's thread. Peers stay where they are until on_closed() or Peer::unwanted.
class Service {
 public:
  virtual ~Service() = default;
  virtual void on_frame(Peer& peer, const Frame& frame) = 0;
  virtual void on_closed(Peer& peer) = 0;
  // Called in every round of the loop, after the frames and before anything is written.
  virtual void on_clock(int64_t now) = 0;
  // When on_clock() is wanted at the latest.
  virtual int64_t wake_ns() const = 0;
  // stop() was called.
  virtual void on_stop(bool in_peace) = 0;
  // There is no descriptor for another connection. It is tried again soon.
  virtual void on_exhausted(const Status& status) = 0;
  // There is no memory. The server ends.
  virtual void on_no_memory() { on_exhausted(Status::out_of_memory()); }
  // The service may have connections of its own. It writes to them, and adds them to what poll() waits for; afterwards it reads.
  virtual void add_waits(std::vector<pollfd>&) {}
  virtual void on_waits() {}
  // The server ends, and has read nothing from this connection. The service may send last words.
  virtual void on_leftover(Connection&) {}
  // Connections that have not proved the key.
  virtual size_t most_unproved() const { return 1024; }  // as many as ranks may come at once
  virtual bool accepting() const = 0;
  virtual bool finished() const = 0;
};

class Server {
 public:
  static Result<std::unique_ptr<Server>> make(Descriptor listener, const Key& key, std::unique_ptr<Service> service);
  ~Server();  // stop(false), unless it has ended

  // Serves in a thread that this object owns and its destructor joins.
  Status start(const char* thread_name);
  // Serves in a thread that nobody waits for, and which owns the server.
  static Status start_detached(std::unique_ptr<Server> server, const char* thread_name);
  // Makes the service's on_clock() run soon. Any thread.
  void wake() { bell_.ring(); }
  // Until it has ended by itself.
  void wait();
  // Ends it: the service says its last words, which are flushed; waits for that (a second or so at most).
  void stop(bool in_peace);

 private:
  Server(Descriptor listener, Bell bell, const Key& key, std::unique_ptr<Service> service);
  void run();
  void serve();
  void wait_for_events();
  void accept_some(int64_t now);
  void run_out(int error, int64_t now);
  bool make_room(int64_t before_ns);
  void drop_peers(int64_t now);
  void close_listener();
  void flush();

  Descriptor listener_;
  Bell bell_;
  const Key key_;
  std::unique_ptr<Service> service_;
  std::vector<std::unique_ptr<Peer>> peers_;  // in order of arrival
  size_t unproved_ = 0;
  int64_t no_accept_until_ns_ = 0;  // there was no descriptor for a new connection: none is accepted until then
  Thread thread_;
  enum class Stop : uint8_t { No, InPeace, InAnger };
  std::atomic<Stop> stop_{Stop::No};
};

}  // namespace tutti
