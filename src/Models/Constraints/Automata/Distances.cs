namespace Krewe.Models;

/// <summary>
/// Fewest bytes from each state to the end of its rule (Knuth, "A generalization of Dijkstra's algorithm", 1977: states
/// are settled in order of their distance, and a call costs the distance of the called rule's start).
/// </summary>
internal static class Distances
{
    public static int[] Compute(IReadOnlyList<DfaState> states, Dictionary<int, int> startOfRule)
    {
        var (byBytes, byCalls) = Predecessors(states, startOfRule);
        var distances = new int[states.Count];
        distances.AsSpan().Fill(ByteAutomaton.Never);
        var isSettled = new bool[states.Count];
        var open = new PriorityQueue<int, int>();
        for (var state = 0; state < states.Count; state++)
        {
            if (states[state].Accepts) Reach(state, 0);
        }

        while (open.TryDequeue(out var state, out var distance))
        {
            if (isSettled[state]) continue;
            isSettled[state] = true;
            foreach (var from in byBytes[state]) Reach(from, distance + 1);
            foreach (var (from, rule, behind) in byCalls[state])
            {
                if (isSettled[rule] && isSettled[behind]) Reach(from, Sum(distances[rule], distances[behind]));
            }
        }

        return distances;

        void Reach(int state, int distance)
        {
            if (distance >= distances[state]) return;
            distances[state] = distance;
            open.Enqueue(state, distance);
        }
    }

    /// <summary>Rules that double each other's length come to more than any output.</summary>
    private static int Sum(int a, int b) => (int)Math.Min((long)a + b, ByteAutomaton.Never - 1);

    private static (List<int>[] ByBytes, List<(int From, int Rule, int Behind)>[] ByCalls) Predecessors(
        IReadOnlyList<DfaState> states, Dictionary<int, int> startOfRule)
    {
        var byBytes = states.Select(_ => new List<int>()).ToArray();
        var byCalls = states.Select(_ => new List<(int, int, int)>()).ToArray();
        for (var state = 0; state < states.Count; state++)
        {
            foreach (var edge in states[state].Edges)
            {
                if (edge.First < RuleCompiler.Bytes)
                {
                    byBytes[edge.Target].Add(state);
                    continue;
                }

                for (var rule = edge.First - RuleCompiler.Bytes; rule <= edge.Last - RuleCompiler.Bytes; rule++)
                {
                    var start = startOfRule[rule];
                    byCalls[start].Add((state, start, edge.Target));
                    if (edge.Target != start) byCalls[edge.Target].Add((state, start, edge.Target));
                }
            }
        }

        return (byBytes, byCalls);
    }
}
