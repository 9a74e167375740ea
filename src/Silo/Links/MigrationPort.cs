using Krewe.Abstractions;
using Krewe.Grains;
using Krewe.Silo.Streams;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Links;

/// <summary>Moves running sequences over this silo's links and streams.</summary>
internal sealed class MigrationPort(ClusterView view, RequestStreams streams, ClusterOptions options) : IMigrationPort
{
    public void Migrate(RequestSpec spec, RoutePlan plan, WorkerIncarnation source, int sourceEpoch)
    {
        var stream = Find(spec) ?? throw new KreweException(
            ErrorCode.ClientClosedRequest, $"No client waits for request {spec.RequestId} on this silo any more.");
        var from = view.Find(source) ?? throw Lost(source);
        var to = view.Find(plan.Decode) ?? throw Lost(plan.Decode);
        var key = KeyOf(spec, plan);
        var known = stream.BeginSuccessor(plan.Epoch);

        // Silence costs nothing but the attempt to move: no need for the patience of a handoff.
        var start = WireConvert.ToStart(spec, key, known, options.LinkSilenceLimit);
        start.Part = Wire.SequencePart.Migrate;
        start.Sampling.ClearPromptLogprobs(); // who computed the prompt has told them
        start.SourceEpoch = (uint)sourceEpoch;
        start.Source = from.DataAddress;
        if (to.TryStart(new Attempt(key, stream.Reports, 0) { Spec = spec }, start)) return;
        stream.TryRevoke(plan.Epoch);
        throw Lost(plan.Decode);
    }

    public bool TryRevoke(RequestSpec spec, RoutePlan plan) => Find(spec)?.TryRevoke(plan.Epoch) ?? true;

    public void AbortMigration(RequestSpec spec, RoutePlan plan, string reason)
    {
        TryRevoke(spec, plan);
        view.Find(plan.Decode)?.Abort(KeyOf(spec, plan), reason);
    }

    private RequestStream? Find(RequestSpec spec) => streams.Find(spec.RequestId, spec.Choice);

    private static SequenceKey KeyOf(RequestSpec spec, RoutePlan plan) => new(spec.RequestId, spec.Choice, plan.Epoch);

    private static KreweException Lost(WorkerIncarnation worker) =>
        new(ErrorCode.WorkerLost, $"The link to worker {worker} is gone.");
}
