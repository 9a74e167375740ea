namespace Krewe.Models;

/// <summary>Symbols First to Last, both included, lead to the state Target.</summary>
internal readonly record struct SymbolEdge(int First, int Last, int Target);

/// <param name="Accepts">The text may end here.</param>
/// <param name="Edges">Disjoint, ascending.</param>
internal sealed record DfaState(bool Accepts, SymbolEdge[] Edges)
{
    /// <summary>Nothing can follow.</summary>
    public bool IsFinal => Accepts && Edges.Length == 0;
}

/// <summary>A deterministic automaton over integers; state 0 is the start.</summary>
internal sealed class Dfa(IReadOnlyList<DfaState> states)
{
    public IReadOnlyList<DfaState> States => states;

    /// <summary>Texts of <paramref name="min"/> to <paramref name="max"/> characters.</summary>
    public static Dfa OfLength(int min, int? max, ConstraintBudget budget)
    {
        var states = new List<DfaState>();
        for (var length = 0; length <= (max ?? min); length++)
        {
            budget.TakeDraftState();
            var next = length < (max ?? min) ? length + 1 : max is null ? length : (int?)null;
            SymbolEdge[] edges = next is { } target
                ? [.. Ranges(CodePointSet.All).Select(range => new SymbolEdge(range.First, range.Last, target))]
                : [];
            states.Add(new DfaState(length >= min, edges));
        }

        return new Dfa(states);
    }

    /// <summary>The texts that both take.</summary>
    public Dfa Intersect(Dfa other, ConstraintBudget budget)
    {
        var known = new Dictionary<(int, int), int> { [(0, 0)] = 0 };
        var pairs = new List<(int Mine, int Theirs)> { (0, 0) };
        var result = new List<DfaState>();
        for (var i = 0; i < pairs.Count; i++)
        {
            budget.TakeDraftState();
            var (mine, theirs) = (states[pairs[i].Mine], other.States[pairs[i].Theirs]);
            var edges = new List<SymbolEdge>();
            budget.TakeWork(mine.Edges.Length + theirs.Edges.Length);
            for (int m = 0, t = 0; m < mine.Edges.Length && t < theirs.Edges.Length;)
            {
                var (a, b) = (mine.Edges[m], theirs.Edges[t]);
                var (first, last) = (Math.Max(a.First, b.First), Math.Min(a.Last, b.Last));
                if (first <= last)
                {
                    if (!known.TryGetValue((a.Target, b.Target), out var target))
                    {
                        target = pairs.Count;
                        known.Add((a.Target, b.Target), target);
                        pairs.Add((a.Target, b.Target));
                    }

                    edges.Add(new SymbolEdge(first, last, target));
                }

                if (a.Last < b.Last) m++;
                else t++;
            }

            result.Add(new DfaState(mine.Accepts && theirs.Accepts, [.. edges]));
        }

        return new Dfa(result);
    }

    /// <summary>The same automaton as a part of a rule: each edge is a set of characters.</summary>
    /// <param name="inJson">The characters are those of a JSON string, which writes some of them as escapes.</param>
    public Expr ToExpr(bool inJson)
    {
        // The exit is a state of its own, because an accepting one may go on.
        var steps = new List<Expr.Step>();
        for (var state = 0; state < states.Count; state++)
        {
            foreach (var group in states[state].Edges.GroupBy(edge => edge.Target))
            {
                var set = CodePointSet.OfRanges(group.Select(edge => (edge.First, edge.Last)));
                steps.Add(new Expr.Step(state, group.Key, new Expr.Chars(set, inJson)));
            }

            if (states[state].Accepts) steps.Add(new Expr.Step(state, states.Count, null));
        }

        return new Expr.Graph(states.Count + 1, [.. steps]);
    }

    private static (int First, int Last)[] Ranges(CodePointSet set) => set.Ranges.ToArray();
}
