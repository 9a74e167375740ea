using Krewe.Abstractions;
using Krewe.Control.Requests;
using Krewe.Control.Routing;

namespace Krewe.Grains;

/// <summary>Asks the routing policy about this silo's view of the workers.</summary>
internal sealed class RequestRouter(IRoutingPolicy policy, IClusterView view)
{
    /// <param name="outputTokens">Output so far that is known of: a new attempt computes it again with the
    /// prompt.</param>
    public RequestEvent Choose(RequestSpec spec, int outputTokens, ChooseRoute asked, DateTimeOffset now)
    {
        var prompt = spec.PromptTokens.Length;
        var query = new RouteQuery(prompt + outputTokens, prompt + spec.MaxOutputTokens, asked.Excluded);
        return policy.Choose(query, [.. view.Workers.Select(CandidateOf)]) switch
        {
            RouteChosen chosen => new RouteFound(
                now, new RoutePlan(asked.Epoch, chosen.Prefill, chosen.Decode, 0, chosen.Reason)),
            RouteRefused refused => new RouteMissing(now, asked.Epoch, refused.Code, refused.Message),
            var other => throw new InvalidOperationException($"{policy.GetType()} answered {other}."),
        };
    }

    public Task WhenWorkersChangedAsync(CancellationToken cancellationToken) =>
        view.WhenWorkersChangedAsync(cancellationToken);

    private static RouteCandidate CandidateOf(WorkerView worker) => new()
    {
        Worker = worker.Descriptor.Worker,
        Role = worker.Descriptor.Role,
        State = worker.State,
        TotalBlocks = worker.Descriptor.TotalBlocks,
        BlockTokens = worker.Descriptor.BlockTokens,
        MaxContextTokens = worker.Descriptor.MaxContextTokens,
        AvailableBlocks = worker.AvailableBlocks,
        RunningSequences = worker.RunningSequences,
        WaitingSequences = worker.WaitingSequences,
        WaitingTokens = worker.WaitingTokens,
        DispatchedSequences = worker.DispatchedSequences,
        DispatchedTokens = worker.DispatchedTokens,
    };
}
