# network: hosts, racks and sites as namespaces, bridges and veth pairs of this machine.
#
#       [spine]                   A host is a network namespace with its own host name, /dev/shm, /sys and System V IPC, held by
#          | uplink               one sleeping process, its keeper. Its NICs are veth pairs into the switch, which is the network
#       [rack r0]                 namespace of the process that makes the cluster. Bridges in there: one per rack and site, and
#          | NIC                  the spine. Rail j, the j-th NIC of each host, is subnet 10.J.0.0/16; all rails pass the same
#     eth0 of host a              bridges, so that they share a rack's uplink.
#
# Rates are token buckets (tbf) at both ends of a veth pair: so much out and so much in at the same time. Latencies are not
# imitated (netem, which could, is not in every kernel).
import os
import pathlib
import signal
import socket

from system import CANNOT_HERE, MS_BIND, MS_REC, NEWIPC, NEWNET, NEWNS, NEWUTS, Refused, configure, mount, setns, unshare

LEAST_BPS = 8000
# What a token bucket lets pass at once (burst), and what it queues.
# The kernel hands down packets of 64 KiB (GSO). A bucket with less than that cuts them up, which costs so much that two cores reach a
# third of 4 x 500 Mbit/s. What comes while a timer is late has to fit as well.
# A queue of 1 MiB takes the first windows of seven senders. With a quarter of that, packets are lost, which costs 0.2 s now and then.
# (tests/cluster/flows.py ring 12000000, incast 100000 and all 4000000, at 500 Mbit/s.)
LEAST_BURST, BURST_S = 96 << 10, 1e-3
LEAST_QUEUE, QUEUE_S = 1 << 20, 10e-3

# Rails answer for their own addresses only. No IPv6: nobody has addresses for it, but it would talk.
SYSCTLS = {'ipv4/conf/all/arp_ignore': 1, 'ipv4/conf/all/arp_announce': 2, 'ipv6/conf/all/disable_ipv6': 1,
           'ipv6/conf/default/disable_ipv6': 1}
# The one that Linux has by default, whatever this machine has been told; it keeps several flows on one link at its rate.
CONGESTION = 'cubic'


def shaping(device, bps):
    """tc's words for the rate out of a device; none: as fast as the machine."""
    if not bps:
        return []
    bps = max(int(bps), LEAST_BPS)
    burst, queue = max(LEAST_BURST, int(bps / 8 * BURST_S)), max(LEAST_QUEUE, int(bps / 8 * QUEUE_S))
    return [f'qdisc replace dev {device} root tbf rate {bps}bit burst {burst} limit {queue}']


def namespaces_of(keeper):
    """Descriptors of a host's namespaces; that of mounts last, since /proc may be another after it."""
    return [os.open(f'/proc/{keeper}/ns/{kind}', os.O_RDONLY | os.O_CLOEXEC) for kind in ('uts', 'ipc', 'net', 'mnt')]


def enter(namespaces):
    """Moves this process, which has one thread, to a host."""
    here = os.getcwd()
    for descriptor in namespaces:
        setns(descriptor)
    os.chdir(here)


class Host:
    def __init__(self, number, description):
        self.number, self.name, self.rack = number, description['name'], description['rack']
        self.nics = description['nics'] or [{'name': 'eth0', 'bps': None}]
        self.keeper, self.namespaces = 0, []

    def __str__(self):
        return self.name

    def address(self, rail=0):
        return f'10.{rail}.{(self.number + 1) >> 8}.{(self.number + 1) & 255}'

    def ports(self):
        """(the host's end, the switch's end, bits per second) of every NIC."""
        return [(nic['name'], f'h{self.number}n{rail}', nic['bps']) for rail, nic in enumerate(self.nics)]

    def keep(self, names):
        """Starts the keeper. `names`: what /etc/hosts says on the host."""
        heard, told = os.pipe()
        self.keeper = os.fork()
        if self.keeper == 0:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # a terminal's keys: it ends with the process namespace, not before
            try:
                unshare(NEWNET | NEWUTS | NEWNS | NEWIPC)
                self._furnish(names)
                os.write(told, b'made')
            except OSError as error:
                os.write(told, str(error).encode())
                os._exit(1)
            os.close(told)
            while True:
                signal.pause()
        os.close(told)
        answer = os.read(heard, 4096).decode()
        os.close(heard)
        if answer != 'made':
            raise Refused(f'host {self.name} cannot be made here: {answer}', CANNOT_HERE)
        self.namespaces = namespaces_of(self.keeper)

    def _furnish(self, names):
        """Makes this process's namespaces, which are new, a host."""
        socket.sethostname(self.name)
        cgroups = os.open('/sys/fs/cgroup', os.O_PATH) if os.path.isdir('/sys/fs/cgroup') else None
        mount('sysfs', '/sys', 'sysfs')  # the one of this network namespace
        if cgroups is not None:
            mount(f'/proc/self/fd/{cgroups}', '/sys/fs/cgroup', None, MS_BIND | MS_REC)
            os.close(cgroups)
        if os.path.isdir('/dev/shm'):
            mount('tmpfs', '/dev/shm', 'tmpfs')
            if os.path.exists('/etc/hosts'):
                pathlib.Path('/dev/shm/hosts').write_text(names)
                mount('/dev/shm/hosts', '/etc/hosts', None, MS_BIND)
                os.unlink('/dev/shm/hosts')  # the mount keeps the file
        for name, value in SYSCTLS.items():
            path = pathlib.Path('/proc/sys/net', name)
            if path.exists():
                path.write_text(str(value))

    def join_rails(self):
        """Addresses and routes."""
        known = pathlib.Path('/proc/sys/net/ipv4/tcp_available_congestion_control').read_text().split()
        control = f' congctl {CONGESTION}' if CONGESTION in known else ''
        lines = ['link set lo up']
        for rail, (nic, _, _) in enumerate(self.ports()):
            lines += [f'link set {nic} up', f'addr add {self.address(rail)}/16 dev {nic} noprefixroute',
                      f'route add 10.{rail}.0.0/16 dev {nic} src {self.address(rail)}{control}']
        self.configure('ip', lines)

    def configure(self, program, lines):
        configure(program, lines, self.namespaces[2])


class Cluster:
    """Made in the calling process's network namespace, which becomes the switch, from what `tutti-topo --json` says."""

    def __init__(self, topology, mtu):
        self.hosts = [Host(number, description) for number, description in enumerate(topology['hosts'])]
        names = ''.join(f'{host.address()} {host.name}\n' for host in self.hosts)
        for host in self.hosts:
            host.keep('127.0.0.1 localhost\n' + names)
        self._connect(topology, mtu)
        for host in self.hosts:
            host.join_rails()
            self.shape(host)

    def _connect(self, topology, mtu):
        """Bridges, uplinks and NICs."""
        # An uplink: the place's bridge, the bridge above, its rate.
        bridges, uplinks = {'spine': 'spine'}, []
        for number, site in enumerate(topology['sites']):
            bridges['site', site['name']] = f's{number}'
            uplinks.append((f's{number}', 'spine', site['uplink_bps']))
        for number, rack in enumerate(topology['racks']):
            bridges['rack', rack['name']] = f'r{number}'
            uplinks.append((f'r{number}', bridges['site', rack['site']] if rack['site'] else 'spine', rack['uplink_bps']))
        links = [f'link add {bridge} mtu {mtu} type bridge stp_state 0 forward_delay 0 mcast_snooping 0'
                 for bridge in bridges.values()]
        links += [f'link set {bridge} up' for bridge in bridges.values()]
        for below, above, _ in uplinks:
            links += [f'link add {below}up mtu {mtu} type veth peer name {below}down mtu {mtu}',
                      f'link set {below}up master {below} up', f'link set {below}down master {above} up']
        for host in self.hosts:
            for nic, port, _ in host.ports():
                links += [f'link add {port} mtu {mtu} type veth peer name {nic} mtu {mtu} netns {host.keeper}',
                          f'link set {port} master {bridges["rack", host.rack] if host.rack else "spine"} up']
        configure('ip', links)
        configure('tc', [line for below, _, bps in uplinks for end in ('up', 'down') for line in shaping(below + end, bps)])

    def shape(self, host, share=1.0):
        """Gives a host's NICs their rates, times `share`."""
        host.configure('tc', [line for nic, _, bps in host.ports() for line in shaping(nic, bps and bps * share)])
        configure('tc', [line for _, port, bps in host.ports() for line in shaping(port, bps and bps * share)])

    def cut(self, host):
        """Pulls a host's cables out of the switch."""
        configure('ip', [f'link set {port} down' for _, port, _ in host.ports()])
