using System.Threading.Channels;
using Krewe.Abstractions;

namespace Krewe.Grains.Tests;

/// <summary>What a grain asked of the silo's links, in order.</summary>
internal abstract record PortCall;

internal sealed record Dispatched(RequestSpec Spec, RoutePlan Plan) : PortCall;

internal sealed record Aborted(string RequestId, RoutePlan Plan, string Reason) : PortCall;

internal sealed record StreamFailed(string RequestId, ErrorCode Code, string Message) : PortCall;

/// <summary>A port that keeps its calls for the test to await.</summary>
internal sealed class FakeAttemptPort : IAttemptPort
{
    private readonly Channel<PortCall> _calls = Channel.CreateUnbounded<PortCall>();

    /// <summary>Workers whose link is gone: a dispatch to them throws.</summary>
    public HashSet<WorkerIncarnation> Unreachable { get; } = [];

    /// <summary>The client of every stream has gone.</summary>
    public bool StreamsAreClosed { get; set; }

    public void Dispatch(RequestSpec spec, RoutePlan plan)
    {
        if (StreamsAreClosed)
            throw new KreweException(ErrorCode.ClientClosedRequest, "nobody reads");
        if (Unreachable.Contains(plan.Prefill) || Unreachable.Contains(plan.Decode))
            throw new KreweException(ErrorCode.WorkerLost, "the link is gone");
        _calls.Writer.TryWrite(new Dispatched(spec, plan));
    }

    public void Abort(RequestSpec spec, RoutePlan plan, string reason) =>
        _calls.Writer.TryWrite(new Aborted(spec.RequestId, plan, reason));

    public void Fail(RequestSpec spec, ErrorCode code, string message) =>
        _calls.Writer.TryWrite(new StreamFailed(spec.RequestId, code, message));

    /// <summary>The next call, which must be a <typeparamref name="TCall"/>.</summary>
    public async Task<TCall> NextAsync<TCall>()
        where TCall : PortCall
    {
        using var patience = new CancellationTokenSource(GrainCluster.Patience);
        return Assert.IsType<TCall>(await _calls.Reader.ReadAsync(patience.Token));
    }

    public void AssertNoMore() => Assert.False(_calls.Reader.TryRead(out var call), $"Unexpected: {call}");
}
