// hosts: makes two hosts of one machine: network namespaces, joined by wires (veth) from eth0 to eth0, from eth1 to eth1, ...
//
// They vanish with the process. Root, iproute2 and a kernel with veth are needed.
#pragma once
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace tutti::test {

class Hosts {
 public:
  // Null, and `why_not` says why, where that cannot be done.
  static std::unique_ptr<Hosts> make(int wires, std::string& why_not);
  ~Hosts();

  int number() const { return 2; }
  // Moves the calling process (which has one thread) to a host. False: it could not.
  bool enter(int host) const;
  // Takes the first wire away, or brings it back and waits until it carries. False: it could not.
  bool cut(bool away) const;
  // Lets no more than this through the first wire from host 0 on; null: all. False: it could not.
  bool limit(const char* rate) const;

 private:
  Hosts() = default;
  int namespaces_[2] = {-1, -1};
};

}  // namespace tutti::test
