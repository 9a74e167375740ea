namespace Krewe.Models;

/// <summary>A nondeterministic automaton over integers that is being put together.</summary>
internal sealed class Nfa(ConstraintBudget budget)
{
    private readonly List<List<SymbolEdge>> _edges = [];
    private readonly List<List<int>> _epsilons = [];

    public int AddState()
    {
        budget.TakeDraftState();
        _edges.Add([]);
        _epsilons.Add([]);
        return _edges.Count - 1;
    }

    public void Add(int from, int first, int last, int to) => _edges[from].Add(new SymbolEdge(first, last, to));

    public void AddEmpty(int from, int to) => _epsilons[from].Add(to);

    /// <summary>Subset construction over the intervals that the edges cut the symbols into.</summary>
    public Dfa Determinize(int start, int accept)
    {
        var known = new Dictionary<int[], int>(SetComparer.Instance);
        var sets = new List<int[]>();
        var result = new List<DfaState>();
        StateOf(Close([start]));
        for (var i = 0; i < sets.Count; i++)
        {
            var edges = new List<SymbolEdge>();
            foreach (var (first, last, targets) in Intervals(sets[i]))
            {
                var target = StateOf(Close(targets));
                if (edges.Count > 0 && edges[^1].Target == target && edges[^1].Last == first - 1)
                    edges[^1] = edges[^1] with { Last = last };
                else edges.Add(new SymbolEdge(first, last, target));
            }

            result.Add(new DfaState(Array.BinarySearch(sets[i], accept) >= 0, [.. edges]));
        }

        return new Dfa(result);

        int StateOf(int[] set)
        {
            if (known.TryGetValue(set, out var state)) return state;
            budget.TakeDraftState();
            known.Add(set, sets.Count);
            sets.Add(set);
            return sets.Count - 1;
        }
    }

    /// <summary>The states' edges, cut into disjoint intervals, and where each leads.</summary>
    private IEnumerable<(int First, int Last, List<int> Targets)> Intervals(int[] states)
    {
        var edges = states.SelectMany(state => _edges[state]).ToArray();
        if (edges.Length == 0) yield break;
        var cuts = edges.Select(edge => edge.First).Concat(edges.Select(edge => edge.Last + 1)).Distinct().ToArray();
        Array.Sort(cuts);
        var targets = new List<int>[cuts.Length];
        foreach (var edge in edges)
        {
            var from = Array.BinarySearch(cuts, edge.First);
            var to = Array.BinarySearch(cuts, edge.Last + 1);
            budget.TakeWork(to - from);
            for (var i = from; i < to; i++) (targets[i] ??= []).Add(edge.Target);
        }

        for (var i = 0; i < cuts.Length - 1; i++)
        {
            if (targets[i] is { } reached) yield return (cuts[i], cuts[i + 1] - 1, reached);
        }
    }

    /// <summary>Everything that is reached without a symbol; ascending.</summary>
    private int[] Close(List<int> states)
    {
        var reached = new HashSet<int>(states);
        var open = new Stack<int>(reached);
        while (open.TryPop(out var state))
        {
            foreach (var next in _epsilons[state])
            {
                if (reached.Add(next)) open.Push(next);
            }
        }

        budget.TakeWork(reached.Count);
        int[] closed = [.. reached];
        Array.Sort(closed);
        return closed;
    }

    private sealed class SetComparer : IEqualityComparer<int[]>
    {
        public static SetComparer Instance { get; } = new();

        public bool Equals(int[]? x, int[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(int[] set)
        {
            var hash = new HashCode();
            foreach (var state in set) hash.Add(state);
            return hash.ToHashCode();
        }
    }
}
