using Krewe.Abstractions;
using Krewe.Grains;
using Krewe.Silo.Streams;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Links;

/// <summary>Acts for request grains over this silo's links and streams.</summary>
internal sealed class AttemptPort(ClusterView view, RequestStreams streams, ClusterOptions options) : IAttemptPort
{
    public void Dispatch(RequestSpec spec, RoutePlan plan)
    {
        var stream = streams.Find(spec.RequestId, spec.Choice) ?? throw new KreweException(
            ErrorCode.ClientClosedRequest, $"No client waits for request {spec.RequestId} on this silo any more.");
        var prefill = Demand(plan.Prefill);
        var decode = Demand(plan.Decode);
        var key = new SequenceKey(spec.RequestId, spec.Choice, plan.Epoch);
        var known = stream.BeginEpoch(plan.Epoch);

        Wire.StartSequence Part(Wire.SequencePart part)
        {
            var start = WireConvert.ToStart(spec, key, known, options.HandoffLease);
            start.Part = part;
            // Told once is enough, and only who computes the prompt can tell them.
            if (part == Wire.SequencePart.Decode || stream.PromptLogprobsCount >= spec.PromptTokens.Length - 1)
                start.Sampling.ClearPromptLogprobs();
            return start;
        }

        Wire.StartSequence First(Wire.SequencePart part)
        {
            var start = Part(part);
            if (plan.PrefixHolder is not { } holder || view.Find(holder) is not { } link) return start;
            start.PrefixSource = link.DataAddress;
            start.PrefixTokens = (uint)plan.PrefixHolderTokens;
            return start;
        }

        var toPrefill = new Attempt(key, stream.Reports, spec.PromptTokens.Length + known.Length) { Spec = spec };
        if (!plan.NeedsHandoff)
        {
            if (!prefill.TryStart(toPrefill, First(Wire.SequencePart.Whole))) throw Lost(plan.Prefill);
            return;
        }

        if (!prefill.TryStart(toPrefill, First(Wire.SequencePart.Prefill))) throw Lost(plan.Prefill);
        var pull = Part(Wire.SequencePart.Decode);
        pull.Source = prefill.DataAddress;
        if (decode.TryStart(new Attempt(key, stream.Reports, 0) { Spec = spec }, pull)) return;
        prefill.Abort(key, "the decode worker is gone");
        throw Lost(plan.Decode);
    }

    public void Abort(RequestSpec spec, RoutePlan plan, string reason)
    {
        var key = new SequenceKey(spec.RequestId, spec.Choice, plan.Epoch);
        view.Find(plan.Prefill)?.Abort(key, reason);
        if (plan.NeedsHandoff) view.Find(plan.Decode)?.Abort(key, reason);
    }

    public void Fail(RequestSpec spec, ErrorCode code, string message) =>
        streams.Find(spec.RequestId, spec.Choice)?.TryEnd(new StreamEnd.Failed(code, message));

    private WorkerLink Demand(WorkerIncarnation worker) => view.Find(worker) ?? throw Lost(worker);

    private static KreweException Lost(WorkerIncarnation worker) =>
        new(ErrorCode.WorkerLost, $"The link to worker {worker} is gone.");
}
