"""What the notebook has of its own, beside the page's prose: how it begins and ends, formulas, questions and plots.

Formulas and questions come before the cell of their section, plots after it. An answer is folded away; numbers in it are among
those that the page's commands print.
"""

from __future__ import annotations

INTRO = """\
# Implicit matrix factorization, step by step

From a table of plays to a recommendation and the reason for it: every cell computes what the text above it describes, with
functions that you can change and run again. You need linear algebra, one derivative and a little NumPy.

Read each question before you run the cell below it, make up your mind, and only then open the answer. The same material as a page,
with every number on it, is [worked-example.md](worked-example.md); [scaling.md](scaling.md) shows what happens on many machines.
To play with this matrix, and with two machines, open the file that `mr-als walkthrough --html als.html` writes."""

INSTALL = """\
# run this once if mr_als is not installed; the notebook has to be in docs/, in a copy of the repository
%pip install --quiet .. matplotlib"""

DRAWING = """\
import matplotlib.pyplot as plt
%config InlineBackend.figure_formats = ["svg"]
%config InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "metadata": {"Date": None, "Creator": None}}
plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "als", "font.size": 13})

def heat(axes, values, title, digits=0):
    \"\"\"Draw a table: the bluer, the larger; below 0 it is red.\"\"\"
    most = abs(values).max()
    axes.pcolormesh(values, cmap="RdBu", vmin=-2 * most, vmax=2 * most, edgecolors="white")
    for (row, column), value in np.ndenumerate(values):
        axes.text(column + 0.5, row + 0.5, f"{value:.{digits}f}", ha="center", va="center")
    axes.set(title=title, xticks=np.arange(len(items)) + 0.5, yticks=np.arange(len(users)) + 0.5)
    axes.set_xticklabels(items, rotation=30)
    axes.set_yticklabels(users)
    axes.invert_yaxis()

def arrows(axes, X, Y, title):
    \"\"\"Draw users (blue) and items (orange) as arrows.\"\"\"
    for names, vectors, colour, up in ((users, X, "C0", 7), (items, Y, "C1", -6)):
        groups = []
        for name, tip in zip(names, vectors):
            axes.annotate("", tip, (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2})
            near = [members for place, members in groups if np.hypot(*(place - tip)) < 0.07]
            near[0].append(name) if near else groups.append((tip, [name]))
        for tip, members in groups:
            side, across = ("left", 5) if tip[0] > 0 else ("right", -5)
            axes.annotate(", ".join(members), tip, (across, up), textcoords="offset points", ha=side, va="center", color=colour)
    axes.set(title=title, xlabel="first number", ylabel="second number", xlim=(-0.8, 1.7), ylim=(-0.3, 1.3), aspect="equal")
    axes.grid(alpha=0.3)"""

# section -> what its command prints of algebra, for MathJax
FORMULAS = {
    "loss": r"""
        $$\text{objective} = \sum_{u,i} c_{ui} (p_{ui} - x_u \cdot y_i)^2 + \lambda \Big(\sum_u |x_u|^2 + \sum_i |y_i|^2\Big)
        \qquad \text{wRMSE} = \sqrt{\frac{\sum_{u,i} c_{ui} (p_{ui} - x_u \cdot y_i)^2}{\sum_{u,i} c_{ui}}}$$""",
    "derivative": r"""
        $$\begin{aligned}
        L(x) &= \sum_i c_i (p_i - x \cdot y_i)^2 + \lambda \, x \cdot x \\
        \frac{dL}{dx} &= \sum_i c_i \, 2 (p_i - x \cdot y_i)(-y_i) + 2 \lambda x \\
        &= -2 \sum_i c_i p_i y_i + 2 \Big(\sum_i c_i y_i y_i'\Big) x + 2 \lambda x \\
        &= -2 b + 2 A x \qquad A = \sum_i c_i y_i y_i' + \lambda I, \quad b = \sum_i c_i p_i y_i
        \end{aligned}$$

        so the derivative is zero where $A x = b$.""",
    "gram": r"""
        $$\sum_{\text{all } i} c_i y_i y_i' = Y'Y + \sum_{\text{played } i} (c_i - 1) \, y_i y_i'$$""",
    "cheap-error": r"""
        $$\sum_{\text{all } i} c_i (p_i - s_i)^2 = \sum_{\text{played } i} \big[ c_i (1 - s_i)^2 - s_i^2 \big] + x' (Y'Y) \, x$$""",
    "item": r"""
        $$A = X'X + \sum_{\text{played } u} (c_u - 1) \, x_u x_u' + \lambda I, \qquad b = \sum_{\text{played } u} c_u x_u$$""",
    "explain": r"""
        $$x \cdot y_{\text{new}} = \sum_{\text{played } j} c_j \; y_{\text{new}}' A^{-1} y_j$$""",
    "solver": r"""
        $$Y'Y = Q D Q', \qquad z_i = (D + \lambda)^{-1/2} Q' y_i$$

        $$\Big(I + \sum_{\text{played } i} (c_i - 1) z_i z_i'\Big) v = \sum_{\text{played } i} c_i z_i, \qquad
        x = Q (D + \lambda)^{-1/2} v$$""",
    "explicit": r"""
        $$\sum_{\text{rated } u,i} (r_{ui} - x_u \cdot y_i)^2 + \sum_u \lambda n_u |x_u|^2 + \sum_i \lambda n_i |y_i|^2$$""",
}

# section -> code of a plot
PLOTS = {
    "confidence": """
        figure, places = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
        for axes, values, title in zip(places, (R, P, C), ("R: plays", "P: preference", "C: confidence")):
            heat(axes, values, title)
        plt.show()""",
    "start": """
        figure, axes = plt.subplots(figsize=(5, 4.4))
        arrows(axes, [], Y0, "items, to begin with")
        plt.show()""",
    "derivative": """
        def added(first, second):
            \"\"\"Compute what the user adds to the objective, for many x at once.\"\"\"
            scores = first[..., None] * Y0[:, 0] + second[..., None] * Y0[:, 1]
            return (C[0] * (P[0] - scores) ** 2).sum(axis=-1) + lam * (first**2 + second**2)

        figure, axes = plt.subplots(figsize=(6, 4.4))
        grid = np.meshgrid(np.linspace(-0.5, 1.8, 30), np.linspace(-0.8, 1, 30))
        lines = axes.contour(*grid, added(*grid), levels=8, cmap="viridis")
        axes.clabel(lines, fontsize=10)
        axes.plot(*x, "k*", markersize=14)
        axes.set(title=f"what {users[0]} adds to the objective; a star at its minimum", xlabel="first number of x", ylabel="second")
        plt.show()""",
    "users": """
        figure, axes = plt.subplots(figsize=(5, 4.4))
        arrows(axes, X1, Y0, "half 1: users solved")
        plt.show()""",
    "item": """
        figure, axes = plt.subplots(figsize=(5, 4.4))
        arrows(axes, X1, Y1, "half 2: items solved")
        plt.show()""",
    "halves": """
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
        A, B, history = X1, Y0, []
        for half in range(1, 2 * len(wrmse)):
            if half > 1:
                A, B = (solve_rows(R, B, alpha, lam), B) if half % 2 else (A, solve_rows(R.T, A, alpha, lam))
            squared_error, penalty = loss(P, C, A, B, lam)
            history.append((half, squared_error + penalty, weighted_rmse(squared_error, C)))
        half, objective, error = np.array(history).T
        for axes, values, title in ((left, objective, "objective"), (right, error, "weighted RMSE")):
            axes.plot(half, values, color="gray", lw=1)
            axes.plot(half[::2], values[::2], "C0o", label="users solved")
            axes.plot(half[1::2], values[1::2], "C1o", label="items solved")
            axes.set(title=title, xlabel="half", ylabel=title)
            axes.legend()
        plt.show()""",
    "model": """
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
        arrows(left, X, Y, "the model")
        heat(right, X @ Y.T, "scores", 2)
        plt.show()""",
    "solver": """
        path = np.vstack([[0, 0], (v * scale) @ Q.T])
        figure, axes = plt.subplots(figsize=(6, 4.4))
        near = np.meshgrid(np.linspace(-0.1, 1, 30), np.linspace(-0.2, 0.4, 30))
        axes.contour(*near, added(*near), levels=[1.46, 1.5, 1.6, 1.8, 2.2, 3, 4, 5, 6], cmap="viridis", alpha=0.6)
        axes.plot(*path.T, "ko-")
        for step, place in enumerate(path):
            axes.annotate(f"step {step}" if step else "start", place, (6, -14 if step == 1 else 8), textcoords="offset points")
        axes.set(title="the path of the conjugate gradient", xlabel="first number of x", ylabel="second")
        plt.show()""",
    "lambda": """
        figure, axes = plt.subplots(figsize=(7, 3.8))
        strengths = np.linspace(0.01, 8, 60)
        axes.plot(strengths, [np.linalg.norm(trained(strength)[0], axis=1).mean() for strength in strengths])
        for n, sigma in enumerate(np.linalg.svd(C * P)[1][:2], 1):
            axes.axvline(sigma, color="gray", ls="--")
            axes.text(sigma - 0.1, 0.7, f"sigma {n}", rotation=90, ha="right")
        axes.set(title="at the largest singular value everything is dead", xlabel="lambda", ylabel="mean length of a user")
        plt.show()""",
}

# section -> question and answer; names in braces are filled in from the example
QUESTIONS = {
    "plays": (
        "Look at the rows before the machine does: which item would you recommend to {u[0]}, and why?",
        "{i[4]}: only {u[1]} played it, who otherwise plays what {u[0]} plays. {i[2]} and {i[3]} belong to {u[2]} and {u[3]}.",
    ),
    "preference": (
        "{u[0]} played {i[0]} three times and {i[1]} once. How do their preferences differ?",
        "Not at all: both are 1. The number of plays says how sure we are of it, and that is the next table.",
    ),
    "confidence": (
        "What is the confidence of a cell that nobody played, and what would happen if it were 0?",
        "1. With 0 no empty cell would count: nothing would speak against any item, and scores of 1 everywhere would be perfect.",
    ),
    "loss": (
        "All user vectors are zero. What does each played cell cost, what does an empty one, and what is the total?",
        "A played cell costs its confidence, an empty one nothing: 26. The penalty adds 6, so the objective is 32.",
    ),
    "derivative": (
        "Why is the derivative zero at only one place, and why is that the minimum?",
        "A is a sum of y y' with positive weights, plus lambda I: the parabola opens upward in every direction.",
    ),
    "row": (
        "The empty cells add nothing to b. Where are they heard?",
        "In A: each adds its y y', which shortens every vector that would give it a high score.",
    ),
    "gram": (
        "Which part of A is the same for all users, and how many items does the rest visit?",
        "Y'Y, once for all. The rest visits what the user played, here 2 of 5 items.",
    ),
    "users": (
        "{u[2]} played {i[2]} and {i[3]}, whose vectors are both (0, 1). Will the first number of its vector be 0?",
        "No, it is -5/27: {i[1]} = (1, 1) was not played and asks for a score near 0, so the first number makes up for the other.",
    ),
    "item": (
        "What has to change in the code to solve the items?",
        "Nothing: the same function gets R transposed, with the users as the fixed side.",
    ),
    "halves": (
        "Must the objective fall in every half? Must the weighted RMSE?",
        "The objective must, as each half finds the minimum over its side. The weighted RMSE need not: it leaves out the penalty.",
    ),
    "recommend": (
        "The highest scores of {u[0]} are those of {i[0]} and {i[1]}. Why are they not recommended?",
        "{u[0]} has played them already. A recommendation is the best of what is new.",
    ),
    "explain": (
        "Which of its two plays earns {u[0]} the recommendation of {i[4]}?",
        "Mostly {i[0]}, 71 %: it was played more often, and its vector points the same way.",
    ),
    "solver": (
        "How many steps does the conjugate gradient need for two unknowns?",
        "Two, in exact arithmetic; the first one already comes close.",
    ),
    "explicit": (
        "If the plays were ratings, which cells would the sum run over? What would speak against a wrong item?",
        "Only over the rated cells, and nothing would: nobody rates what they never tried.",
    ),
    "lambda": (
        "Let lambda grow and grow. What do the vectors do?",
        "They get shorter; one direction dies first, and everything when lambda reaches the largest singular value, 6.2526.",
    ),
    "score": (
        "Is a score of 0.4549 a probability?",
        "No. Scores may be below 0, and a user's scores add up to nothing in particular. What counts is their order within a user.",
    ),
    "rotation": (
        "Turn all vectors by the same angle. Which numbers of the model change?",
        "Only the vectors: no score changes, nor does the objective. A single number of a vector means nothing.",
    ),
    "fold-in": (
        "Somebody new played {i[0]} once. Which equations have to be solved, and what stays fixed?",
        "Those of one row, as in the first half; all item vectors stay as they are.",
    ),
    "evaluate": (
        "How can you tell whether a recommendation is good when all you have are the plays?",
        "Hide a play, train on the rest, and see at which rank the hidden item turns up.",
    ),
    "defaults": (
        "By default c = 1 + alpha log(1 + r). How much more do a hundred plays say than one?",
        "Far less than a hundred times as much: a logarithm grows by about the same amount with each factor of ten.",
    ),
    "mapreduce": (
        "The same plays on many machines: which digits of the vectors will differ?",
        "Only those beyond the precision of a float32: each row is solved by itself, from the same numbers.",
    ),
}

EXERCISES = "## Exercises\n\nWith a calculator, or by changing a cell above. Write down your answer before you open the one below."
