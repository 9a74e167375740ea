using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

/// <summary>
/// Two real sides with a bad network between them. Whatever it does, the target answers rightly or fails with one code,
/// the next attempt over a sound link answers rightly, and every block comes back.
/// </summary>
public sealed class LinkFaultTests
{
    private const int Outputs = 5;

    /// <summary>Where nothing is wrong with the link nobody may be given up.</summary>
    private const uint SoundLeaseMs = 600_000;

    private static readonly int[] ThePrompt = Prompt(3, 90);

    private static readonly ErrorCode[] CleanCodes =
    [
        ErrorCode.HandoffSourceLost, ErrorCode.HandoffCorrupt, ErrorCode.HandoffTimeout, ErrorCode.HandoffRefused,
        ErrorCode.HandoffTargetLost, ErrorCode.LeaseExpired,
    ];

    /// <summary>Transport and connections of a link.</summary>
    public static TheoryData<KvTransport, int> Links => new()
    {
        { KvTransport.Tcp, 1 }, { KvTransport.Tcp, 3 }, { KvTransport.Shared, 1 },
    };

    [Theory]
    [MemberData(nameof(Links))]
    public async Task A_link_cut_at_any_byte_costs_an_attempt_at_most(KvTransport transport, int connections)
    {
        var (toTarget, toSource) = await MeasureAsync(transport, connections);
        await using var pair = new Pair(transport, connections, leaseMs: 1500);
        foreach (var at in Places(toTarget, 12)) await pair.TryAsync(toTarget: new LinkFault { CutAfter = at });
        foreach (var at in Places(toSource, 6)) await pair.TryAsync(toSource: new LinkFault { CutAfter = at });
        await pair.AssertSomeFailedAndAllReturnedAsync();
    }

    [Theory]
    [MemberData(nameof(Links))]
    public async Task A_flipped_bit_anywhere_never_becomes_a_token(KvTransport transport, int connections)
    {
        var (toTarget, toSource) = await MeasureAsync(transport, connections);
        await using var pair = new Pair(transport, connections, leaseMs: 1500);
        foreach (var at in Places(toTarget, 25)) await pair.TryAsync(toTarget: new LinkFault { FlipAt = at });
        foreach (var at in Places(toSource, 10)) await pair.TryAsync(toSource: new LinkFault { FlipAt = at });
        await pair.AssertSomeFailedAndAllReturnedAsync();
    }

    [Theory]
    [MemberData(nameof(Links))]
    public async Task Frames_that_come_twice_or_late_never_become_a_token(KvTransport transport, int connections)
    {
        // A late frame waits for the next one, which may be the lease's heartbeat.
        await using var pair = new Pair(transport, connections, leaseMs: 300);
        for (var frame = 0; frame < 5; frame++)
        {
            await pair.TryAsync(toTarget: new LinkFault { RepeatFrame = frame });
            await pair.TryAsync(toTarget: new LinkFault { SwapFrame = frame });
        }

        for (var frame = 0; frame < 3; frame++)
        {
            await pair.TryAsync(toSource: new LinkFault { RepeatFrame = frame });
            await pair.TryAsync(toSource: new LinkFault { SwapFrame = frame });
        }

        await pair.AssertSomeFailedAndAllReturnedAsync();
    }

    [Theory]
    [MemberData(nameof(Links))]
    public async Task A_link_that_goes_silent_ends_with_the_lease(KvTransport transport, int connections)
    {
        var (toTarget, toSource) = await MeasureAsync(transport, connections);
        await using var pair = new Pair(transport, connections, leaseMs: 300);
        foreach (var at in Places(toTarget, 4)) await pair.TryAsync(toTarget: new LinkFault { StallAfter = at });
        foreach (var at in Places(toSource, 3)) await pair.TryAsync(toSource: new LinkFault { StallAfter = at });
        await pair.AssertSomeFailedAndAllReturnedAsync();
    }

    // Positive control of all: the same proxy without a fault disturbs nothing.
    private static async Task<(long ToTarget, long ToSource)> MeasureAsync(KvTransport transport, int connections)
    {
        await using var pair = new Pair(transport, connections);
        var bytes = await pair.TryAsync();
        Assert.Equal(0, pair.Failures);
        Assert.True(bytes.ToTarget > 100 && bytes.ToSource > 50);
        return bytes;
    }

    private static IEnumerable<long> Places(long bytes, int count) =>
        Enumerable.Range(0, count).Select(i => i * (bytes - 1) / (count - 1)).Distinct();

    private sealed class Pair(KvTransport transport, int connections, uint leaseMs = SoundLeaseMs) : IAsyncDisposable
    {
        private readonly HandoffBench _prefill = new(
            WorkerRole.Prefill, budget: 32, transport: transport, connections: connections);
        private readonly HandoffBench _decode = new(
            WorkerRole.Decode, budget: 32, transport: transport, connections: connections);
        private readonly int[] _answer = FakeRunner.Answer(ThePrompt, Outputs);
        private int _requests;

        public int Failures { get; private set; }

        /// <summary>One request over a link with these faults, and, when it failed, again over a sound one.</summary>
        public async Task<(long ToTarget, long ToSource)> TryAsync(
            LinkFault? toTarget = null, LinkFault? toSource = null)
        {
            var request = $"r{_requests++}";
            await using var proxy = new FaultProxy(_prefill.Address, toTarget, toSource);
            Begin(request, epoch: 1, proxy.Address, leaseMs);
            await _decode.Owner.WhenReleasedAsync(request);
            var tokens = _decode.Owner.Tokens(request);
            Assert.Equal(_answer[..tokens.Length], tokens);
            if (_decode.Owner.Kinds(request).Contains(SequenceEventKind.Failed))
            {
                Failures++;
                var code = Enum.Parse<ErrorCode>(_decode.Owner.Event(request, SequenceEventKind.Failed).ErrorCode);
                Assert.Contains(code, CleanCodes);

                tokens = await AgainAsync(request);
            }

            Assert.Equal(_answer, tokens);
            await _prefill.Owner.WhenReleasedAsync(request);
            return (proxy.BytesToTarget, proxy.BytesToSource);
        }

        /// <summary>As the request's grain does: the next epoch begins and fences what is left of the one before.
        /// </summary>
        private async Task<int[]> AgainAsync(string request)
        {
            Begin(request, epoch: 2, _prefill.Address, SoundLeaseMs);
            await _decode.Owner.WhenReleasedAsync(request, epoch: 2);
            await _prefill.Owner.WhenReleasedAsync(request, epoch: 2);
            return _decode.Owner.Tokens(request, epoch: 2);
        }

        public async Task AssertSomeFailedAndAllReturnedAsync()
        {
            Assert.True(Failures > 0, "no fault had an effect: the test tests nothing");
            await _prefill.AssertAllReturnedAsync();
            await _decode.AssertAllReturnedAsync();
        }

        public async ValueTask DisposeAsync()
        {
            await _prefill.DisposeAsync();
            await _decode.DisposeAsync();
        }

        private void Begin(string request, int epoch, DataAddress source, uint leaseMs)
        {
            var prefill = Start(request, ThePrompt, Outputs, SequencePart.Prefill, epoch);
            var decode = Start(request, ThePrompt, Outputs, SequencePart.Decode, epoch);

            // A tenant of its own: no block of an earlier request is there already.
            (prefill.PrefixSalt, decode.PrefixSalt) = ($"{request}@{epoch}", $"{request}@{epoch}");
            (prefill.LeaseMs, decode.LeaseMs) = (leaseMs, leaseMs);
            _prefill.Start(prefill);
            _decode.Start(decode, source);
        }
    }
}
