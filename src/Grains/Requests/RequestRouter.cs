using Krewe.Abstractions;
using Krewe.Control.Requests;
using Krewe.Control.Routing;

namespace Krewe.Grains;

/// <summary>Asks the routing policy about this silo's view of the workers.</summary>
internal sealed class RequestRouter(IRoutingPolicy policy, IClusterView view)
{
    private readonly Lock _gate = new();
    private readonly RouteTable _table = new();
    private readonly RouteRequest _request = new();

    /// <param name="outputTokens">Output so far that is known of: a new attempt computes it again with the
    /// prompt.</param>
    public RequestEvent Choose(RequestSpec spec, int outputTokens, ChooseRoute asked, DateTimeOffset now)
    {
        var prompt = spec.PromptTokens.Length;
        lock (_gate)
        {
            RouteTableFeed.Follow(_table, policy, view.Workers);
            _request.PrefillTokens = prompt + outputTokens;
            _request.ContextTokens = prompt + spec.MaxOutputTokens;
            _request.WaitedMs = (now - spec.ArrivedAt).TotalMilliseconds;
            _request.NowUs = now.UtcTicks / TimeSpan.TicksPerMicrosecond;
            _request.Priority = spec.Priority;
            _request.Excluded = asked.Excluded;
            var choice = policy.Choose(_request, _table);
            var why = policy.Explain(_request, choice, _table);
            return choice.Refusal is { } code
                ? new RouteMissing(now, asked.Epoch, code, why)
                : new RouteFound(now, new RoutePlan(
                    asked.Epoch, choice.Prefill!.Worker, choice.Decode!.Worker, choice.HitTokens, why));
        }
    }

    public Task WhenWorkersChangedAsync(CancellationToken cancellationToken) =>
        view.WhenWorkersChangedAsync(cancellationToken);
}
