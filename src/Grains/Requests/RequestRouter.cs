using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.Control.Requests;
using Krewe.Control.Routing;

namespace Krewe.Grains;

/// <summary>Asks the routing policy about this silo's view of the workers, one request after the other.</summary>
internal sealed class RequestRouter : IRouteTally
{
    /// <summary>How much the newest request's output length says of the next one's.</summary>
    private const double OutputWeight = 0.05;

    private readonly Lock _gate = new();
    private readonly RouteTable _table = new();
    private readonly RouteRequest _request = new();
    private readonly IRoutingPolicy _policy;
    private readonly IClusterView _view;
    private readonly PrefixDirectory _prefixes;
    private readonly RouteTableFeed _feed;
    private readonly GrainOptions _options;
    private double _outputTokens;
    private RouteTally _tally;

    public RequestRouter(IRoutingPolicy policy, IClusterView view, PrefixDirectory prefixes, GrainOptions options)
    {
        (_policy, _view, _prefixes, _options) = (policy, view, prefixes, options);
        _feed = new RouteTableFeed(_table, policy, prefixes);
    }

    /// <param name="spec">The request.</param>
    /// <param name="outputTokens">Output so far that is known of: a new attempt computes it again with the
    /// prompt.</param>
    /// <param name="asked">The attempt, and workers that it must not use.</param>
    /// <param name="now">The time.</param>
    public RequestEvent Choose(RequestSpec spec, int outputTokens, ChooseRoute asked, DateTimeOffset now)
    {
        var views = _view.Workers;
        // Outside of the lock: a long prompt takes a while to hash.
        var hashes = _policy.Prefix == PrefixUse.None || views.IsEmpty
            ? [] : HashesOf(spec, views[0].Descriptor);
        lock (_gate)
        {
            _feed.Follow(views);
            Describe(spec, outputTokens, asked, now, hashes, views.IsEmpty ? 1 : views[0].Descriptor.BlockTokens);
            var choice = _policy.Choose(_request, _table);
            Count(choice);
            var why = _policy.Explain(_request, choice, _table);
            if (choice.Refusal is { } code) return new RouteMissing(now, asked.Epoch, code, why);
            RouteDispatch.Count(_request, choice);
            _prefixes.Routed(choice.Prefill!.Slot, hashes);
            return new RouteFound(now, new RoutePlan(
                asked.Epoch, choice.Prefill!.Worker, choice.Decode!.Worker, choice.HitTokens, why)
            {
                PrefixHolder = choice.PullFromSlot is { } slot ? _table.At(slot)?.Worker : null,
                PrefixHolderTokens = choice.PullFromSlot is null ? 0 : choice.HitTokens,
            });
        }
    }

    /// <summary>A request ended: the lengths of its like are expected of the next.</summary>
    public void Ended(int outputTokens)
    {
        lock (_gate)
        {
            _outputTokens = _outputTokens == 0
                ? outputTokens
                : _outputTokens + (OutputWeight * (outputTokens - _outputTokens));
        }
    }

    public RouteTally Take()
    {
        lock (_gate)
        {
            var taken = _tally;
            _tally = default;
            return taken;
        }
    }

    public Task WhenWorkersChangedAsync(CancellationToken cancellationToken) =>
        _view.WhenWorkersChangedAsync(cancellationToken);

    private void Describe(
        RequestSpec spec, int outputTokens, ChooseRoute asked, DateTimeOffset now, PrefixHash[] hashes, int blockTokens)
    {
        var prompt = spec.PromptTokens.Length;
        _request.PrefillTokens = prompt + outputTokens;
        _request.ContextTokens = prompt + spec.MaxOutputTokens;
        _request.ExpectedOutputTokens = (int)Math.Min(spec.MaxOutputTokens - outputTokens, _outputTokens);
        _request.NowUs = now.UtcTicks / TimeSpan.TicksPerMicrosecond;
        _request.WaitedMs = (now - spec.ArrivedAt).TotalMilliseconds;
        // A first token after the deadline is of no use either.
        _request.TtftSloMs = Math.Min(
            _options.TtftSlo?.TotalMilliseconds ?? double.PositiveInfinity,
            (spec.Deadline - spec.ArrivedAt).TotalMilliseconds);
        _request.TpotSloMs = _options.TpotSlo?.TotalMilliseconds ?? double.PositiveInfinity;
        // Whoever computes already goes on, late or not: refusing would throw away what was paid for. And priority buys
        // a place, late or not.
        _request.MayRefuse = outputTokens == 0 && asked.Excluded.IsEmpty && spec.Priority <= 0;
        _request.Excluded = asked.Excluded;
        _request.Hashes = hashes;
        _request.HashBlockTokens = blockTokens;
        _request.Hits.Clear();
        if (_policy.Prefix == PrefixUse.Hits) _prefixes.Match(hashes, blockTokens, _request.Hits);
    }

    /// <summary>A policy that predicts nothing is never late: comparisons with NaN are false.</summary>
    private void Count(in RouteChoice choice)
    {
        var refused = choice.Refusal == ErrorCode.Overloaded;
        if (choice.IsRefused && !refused) return;
        _tally = new RouteTally(
            _tally.Requests + 1,
            _tally.TtftMet + (refused || choice.TtftMs > _request.TtftSloMs ? 0 : 1),
            _tally.TpotMet + (refused || choice.TpotMs > _request.TpotSloMs ? 0 : 1),
            _tally.Refused + (refused ? 1 : 0));
    }

    private static PrefixHash[] HashesOf(RequestSpec spec, WorkerDescriptor worker)
    {
        var chain = new PrefixChain(PrefixHash.Root(worker.ModelFingerprint, spec.PrefixSalt), worker.BlockTokens);
        chain.Cover(spec.PromptTokens.AsSpan());
        return chain.Hashes.ToArray();
    }
}
