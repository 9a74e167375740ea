namespace Krewe.Models;

/// <summary>A nondeterministic automaton over integers that is being put together.</summary>
internal sealed class Nfa(ConstraintBudget budget)
{
    private readonly List<List<SymbolEdge>> _edges = [];
    private readonly List<List<int>> _epsilons = [];

    // Of the construction: what was reached lately, and the edges of one set of states.
    private readonly List<int> _reached = [];
    private readonly List<SymbolEdge> _outgoing = [];
    private readonly List<int> _cuts = [];
    private int[] _marks = [];
    private int _mark;

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
        _marks = new int[_edges.Count];
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
            known.Add(set, sets.Count);
            sets.Add(set);
            ConstraintBudget.DemandStates(sets.Count);
            return sets.Count - 1;
        }
    }

    /// <summary>The states' edges, cut into disjoint intervals, and where each leads.</summary>
    private IEnumerable<(int First, int Last, List<int> Targets)> Intervals(int[] states)
    {
        _outgoing.Clear();
        _cuts.Clear();
        foreach (var state in states)
        {
            foreach (var edge in _edges[state])
            {
                _outgoing.Add(edge);
                _cuts.Add(edge.First);
                _cuts.Add(edge.Last + 1);
            }
        }

        _cuts.Sort();
        int[] cuts = [.. _cuts.Distinct()];
        var targets = new List<int>?[cuts.Length];
        foreach (var edge in _outgoing)
        {
            var from = Array.BinarySearch(cuts, edge.First);
            var to = Array.BinarySearch(cuts, edge.Last + 1);
            budget.TakeWork(1 + to - from);
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
        _mark++;
        _reached.Clear();
        foreach (var state in states) Reach(state);
        for (var i = 0; i < _reached.Count; i++)
        {
            foreach (var next in _epsilons[_reached[i]]) Reach(next);
        }

        budget.TakeWork(_reached.Count);
        int[] closed = [.. _reached];
        Array.Sort(closed);
        return closed;
    }

    private void Reach(int state)
    {
        if (_marks[state] == _mark) return;
        _marks[state] = _mark;
        _reached.Add(state);
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
