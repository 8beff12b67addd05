#!/usr/bin/env python3
# topo_cli: tutti-topo and tutti-plan as a user calls them: exit codes, lines of mistakes, JSON, trees and pictures.
# In: the paths of the two programs. Out: exit status 1 and what differs.
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

GOOD = '''site s0 uplink=1Gbit latency=5ms
rack r[0-1] site=s0 uplink=125Mbit
host a rack=r0 nic=500Mbit ranks=2   # the first
host b rack=r0 nic=ib0:2.5Gbit nic=500Mbit
host n[0-15] rack=r1 nic=1Gbit latency=20us ranks=8
'''
BAD = 'host a rack=r9\nhots b\nhost c nic=fast\n'


def run(*command, expected=0, **environment):
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | environment)
    assert result.returncode == expected, f'{command}: exit code {result.returncode}, not {expected}: {result.stderr}'
    return result


def main():
    topo, plan = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        good, bad, picture = (pathlib.Path(folder) / name for name in ('good.txt', 'bad.txt', 'picture.svg'))
        good.write_text(GOOD)
        bad.write_text(BAD)

        assert 'sites: 1, racks: 2, hosts: 18, ranks: 131' in run(topo, 'lint', good).stdout
        wrong = run(topo, 'lint', bad, expected=1).stderr.splitlines()
        assert [line.split(':')[1] for line in wrong[:3]] == ['1', '2', '3'], wrong
        run(topo, 'lint', bad.with_name('none.txt'), expected=2)
        run(topo, expected=2)
        run(topo, '--probe', '-', expected=2)

        facts = json.loads(run(topo, '--json', good).stdout)
        assert facts['hosts'][1] == {'name': 'b', 'rack': 'r0', 'latency_s': None, 'ranks': 1,
                                     'nics': [{'name': 'ib0', 'bps': 2.5e9}, {'name': 'eth1', 'bps': 5e8}]}, facts['hosts'][1]
        assert facts['racks'][1] == {'name': 'r1', 'site': 's0', 'uplink_bps': 125e6, 'latency_s': None}
        assert len(facts['hosts']) == 18

        tree = run(topo, 'show', good, '--svg', picture).stdout
        assert 'host b   ib0 2.5Gbit + eth1 500Mbit   rank 2' in tree and 'n1 .. n15' in tree, tree
        drawn = xml.etree.ElementTree.parse(picture).getroot()
        words = [text.text for text in drawn.iter('{http://www.w3.org/2000/svg}text')]
        assert 'host a' in words and '+ 15 like it' in words, words
        assert 'ranks 0-2' in run(topo, 'show', 'host:2 core:3').stdout
        assert 'host' in run(topo, 'show').stdout
        run(topo, 'show', 'shelf:2', expected=2)
        unwritable = run(topo, 'show', good, '--svg', '/nowhere/x.svg', expected=2)
        assert unwritable.stderr == 'tutti-topo: --svg: cannot write /nowhere/x.svg: No such file or directory\n', unwritable
        assert unwritable.stdout == '', unwritable
        never = bad.with_name('never.svg')
        run(topo, 'show', 'shelf:2', '--svg', never, expected=2)
        assert not never.exists()
        for program in topo, plan:
            version = run(program, '--version').stdout
            assert re.fullmatch(pathlib.Path(program).name + r' \(Tutti\) \d+\.\d+\.\d+\n', version), version
        ranks = {'TUTTI_RANK': '0', 'TUTTI_NRANKS': '2', 'TUTTI_COMM_ID': '127.0.0.1:1#x'}
        assert 'cannot write /nowhere/x' in run(topo, '--probe', '/nowhere/x', expected=2, **ranks).stderr
        alone = run(topo, '--probe', never, expected=2).stderr.splitlines()
        assert len(alone) == 1 and 'start some on every host' in alone[0], alone

        many = bad.with_name('many.txt')
        many.write_text('host n[0-65535] ranks=65536\n')
        linted = run(topo, 'lint', many)
        assert 'ranks: 4294967296' in linted.stdout and ':1: hint: ' in linted.stderr, linted
        assert 'more than 65536 ranks' in run(topo, 'show', many, expected=2).stderr

        many.write_text('host n\n' * 300)
        linted = run(topo, 'lint', many, expected=1).stderr.splitlines()
        assert len(linted) == 102 and linted[100].endswith('and 199 more mistakes') and 'has 299 mistakes' in linted[101], linted[98:]

        assert 'over 131 ranks' in run(plan, '--topo', good, '--explain', 'allreduce', '1M').stdout
        assert 'because TUTTI_ALGO says so' in run(plan, '--explain', 'allreduce', '1M', TUTTI_ALGO='ring').stdout
        assert "TUTTI_ALGO='nope' (environment): " in run(plan, '--explain', 'allreduce', '1M', TUTTI_ALGO='nope', expected=2).stderr
        assert "--explain: '1Q'" in run(plan, '--explain', 'allreduce', '1Q', expected=2).stderr
        assert "--size: '1Q'" in run(plan, '--size', '1Q', 'print', expected=2).stderr
        assert 'contradict' in run(plan, '-a', 'ring', '--explain', 'allreduce', '1M', expected=2).stderr

        # Ranks that share cores: the topology and the choice are those of the library.
        crowd = run(plan, '-n', '4', '--cores', '2', '--explain', 'allreduce', '64K').stdout
        assert '4 ranks: twoshot' in crowd and '4 x core: 200Gbit, 2us' in crowd, crowd
        assert '4 x core: 200Gbit, 150ns' in run(plan, '-n', '4', '--cores', '4', '--explain', 'allreduce', '64K').stdout
        namespaces = run(plan, '-t', good, '--cores', '2', '--one-machine', '--explain', 'allreduce', '1M').stdout
        assert '131 x core: 200Gbit, 65.5us' in namespaces, namespaces
        assert 'say --one-machine' in run(plan, '-t', good, '--cores', '2', '--explain', 'allreduce', '1M', expected=2).stderr
        assert 'requires --cores' in run(plan, '--one-machine', '--explain', 'allreduce', '1M', expected=2).stderr
        run(plan, '--cores', '0', '--explain', 'allreduce', '1M', expected=2)

        assert ':1:' in run(plan, '--topo', bad, '--explain', 'allreduce', '1M', expected=2).stderr


main()
