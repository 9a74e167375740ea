namespace Krewe.Simulation.DistServe;

/// <summary>
/// DistServe's simulator, per request equal to the authors' own (fixtures in tests): so that our planner's numbers can
/// be checked against published ones.
/// </summary>
public static class DistServeSimulator
{
    /// <summary>
    /// Runs the workload to its end. <see cref="SimulationException"/> when the cluster cannot hold a request, the
    /// costs are not in the table, or arrivals are not ascending.
    /// </summary>
    public static IReadOnlyList<RequestTiming> Run(DistServeOptions options, IReadOnlyList<SimulatedRequest> workload)
    {
        Check(options);
        var table = CostTable.Load();
        return Run(
            new StagePools(
                table.For(options.Engine, options.Model, options.Prefill), options.PrefillInstances,
                options.Disaggregated ? table.For(options.Engine, options.Model, options.Decode) : null,
                options.DecodeInstances),
            workload);
    }

    /// <summary>The same with any costs: what the planner searches over.</summary>
    internal static IReadOnlyList<RequestTiming> Run(StagePools pools, IReadOnlyList<SimulatedRequest> workload)
    {
        var events = new EventSchedule<double>();
        var decodes = new List<StageWorker>();
        if (pools.Decode is { } decodeCosts)
        {
            for (var i = 0; i < pools.DecodeInstances; i++)
                decodes.Add(BuildInstance(events, decodeCosts, (_, _) => { }));
        }

        if (pools.Prefill is not { } prefillCosts)
        {
            var prefilled = Schedule(events, workload, int.MaxValue, sequence =>
            {
                sequence.FirstTokenMs = events.Now;
                Least(decodes, w => w.DecodeLoad).EnqueueDecode(sequence);
            });
            events.RunToEnd();
            return [.. prefilled.Select(Timing)];
        }

        var prefills = new List<StageWorker>();
        for (var i = 0; i < pools.PrefillInstances; i++)
        {
            prefills.Add(BuildInstance(events, prefillCosts, (head, sequence) =>
            {
                var target = pools.Decode is not null ? Least(decodes, w => w.DecodeLoad) : head;
                target.EnqueueDecode(sequence);
            }));
        }

        var sequences = Schedule(
            events, workload, prefillCosts.CapacityTokens,
            sequence => Least(prefills, w => w.PrefillLoad).EnqueuePrefill(sequence));
        events.RunToEnd();
        return [.. sequences.Select(Timing)];
    }

    private static void Check(DistServeOptions options)
    {
        if (options.Engine is not ("distserve" or "vllm"))
            throw new SimulationException($"Engine '{options.Engine}' is unknown; use distserve or vllm.");
        if (options.PrefillInstances < 1 || options.DecodeInstances < 1)
            throw new SimulationException("Each pool needs at least one instance.");
        if (options.Prefill.TensorParallel < 1 || options.Prefill.PipelineParallel < 1
            || options.Decode.TensorParallel < 1 || options.Decode.PipelineParallel < 1)
            throw new SimulationException("Tensor and pipeline parallel sizes are at least 1.");
    }

    // Stages in a ring; returns the first, where requests enter.
    private static StageWorker BuildInstance(
        EventSchedule<double> events, StageCosts costs, Action<StageWorker, SimulatedSequence> prefilled)
    {
        StageWorker? head = null, previous = null;
        for (var stage = 0; stage < costs.Stages; stage++)
        {
            var worker = new StageWorker(events, costs, stage == 0, stage == costs.Stages - 1)
            {
                Prefilled = sequence => prefilled(head!, sequence),
            };
            head ??= worker;
            if (previous is not null) previous.Next = worker;
            previous = worker;
        }

        previous!.Next = head;
        return head!;
    }

    private static List<SimulatedSequence> Schedule(
        EventSchedule<double> events, IReadOnlyList<SimulatedRequest> workload, int capacityTokens,
        Action<SimulatedSequence> arrive)
    {
        var sequences = new List<SimulatedSequence>(workload.Count);
        var arrival = 0d;
        for (var i = 0; i < workload.Count; i++)
        {
            var request = workload[i];
            if (request.PromptTokens > capacityTokens)
            {
                throw new SimulationException(
                    $"Request {i} has {request.PromptTokens} prompt tokens; a prefill instance of this shape holds "
                    + $"{capacityTokens}.");
            }

            if (request.PromptTokens + request.OutputTokens > StageWorker.DecodeBatchTokens)
            {
                throw new SimulationException(
                    $"Request {i} grows to {request.PromptTokens + request.OutputTokens} tokens; a decode batch of "
                    + $"this simulator holds {StageWorker.DecodeBatchTokens}.");
            }

            // Differences are added up in this order for bit equality with the published outputs; the first is at 0.
            if (i > 0) arrival += (request.StartSeconds - workload[i - 1].StartSeconds) * 1000;
            if (i > 0 && request.StartSeconds < workload[i - 1].StartSeconds)
                throw new SimulationException($"Request {i} starts before request {i - 1}: sort the workload by time.");
            var sequence = new SimulatedSequence(i, arrival, request.PromptTokens, request.OutputTokens);
            sequences.Add(sequence);
            events.At(arrival, () => arrive(sequence));
        }

        return sequences;
    }

    private static StageWorker Least(List<StageWorker> workers, Func<StageWorker, int> load) => workers.MinBy(load)!;

    private static RequestTiming Timing(SimulatedSequence sequence)
    {
        if (sequence.FirstTokenMs is not { } first || sequence.ExitMs is not { } exit)
            throw new InvalidOperationException($"Request {sequence.Index} never finished: a bug in the simulator.");
        var tpot = sequence.OutputTokens > 0 ? (exit - first) / sequence.OutputTokens : 0;
        return new RequestTiming(
            sequence.Index, first - sequence.ArrivalMs, exit - sequence.ArrivalMs, tpot);
    }
}
