"""The transforms of all fields of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distnn.arrays import Array
from distnn.data.transforms.chain import Chain
from distnn.data.transforms.transform import Transform
from distnn.errors import CheckpointError, DataError, UsageError

#: Transforms by field, in their order.
Wished = Mapping[str, Sequence[Transform]]


class Chains:
    """A `Chain` for each field that has transforms.

    Arguments:
        wished: the transforms of each field.
        task: of the data.
        shapes: of one sample, by field.
        scale: what stored samples are multiplied by first.

    Raises:
        UsageError: if one isn't for this field, task or shape.
    """

    def __init__(self, wished: Wished, task: str, shapes: Mapping[str, tuple[int, ...]], scale: float | None) -> None:
        for field, transforms in wished.items():
            for place, transform in enumerate(transforms):
                if task == "language" or (field == "y" and task not in transform.tasks):
                    name = transform.family.named(transform)
                    raise UsageError(f'transforms.{field}: "{name}" is not for {task}; remove it.').at(
                        "transforms", field, place
                    )
        self._by_field = {
            field: Chain(field, transforms, shapes[field], scale if field == "x" else None)
            for field, transforms in wished.items()
            if transforms
        }

    def get(self, field: str) -> Chain | None:
        """The transforms of a field; None if it has none."""
        return self._by_field.get(field)

    @property
    def transforms(self) -> list[Transform]:
        """Of all fields."""
        return [transform for chain in self._by_field.values() for transform in chain.transforms]

    @property
    def waiting(self) -> list[Chain]:
        """Those of which a transform is to be fitted."""
        return [chain for chain in self._by_field.values() if chain.exploration]

    @property
    def widens(self) -> bool:
        """Whether the shape of samples depends on what is still to be fitted."""
        return not all(chain.known for chain in self._by_field.values())

    def shape(self, field: str, stored: tuple[int, ...]) -> tuple[int, ...]:
        """Of one sample after the field's transforms."""
        chain = self.get(field)
        return chain.shape if chain else stored

    def unchecked(self, field: str) -> bool:
        """Whether values of the field that nothing can be computed with are made right, or refused, by a transform."""
        chain = self.get(field)
        return bool(chain and (chain.fills or chain.labels is not None))

    @property
    def state(self) -> dict[str, Array]:
        """What all of them were fitted to, by name."""
        return {name: array for chain in self._by_field.values() for name, array in chain.state.items()}

    def load(self, state: Mapping[str, Array], path: str) -> None:
        """Take over what was fitted before, instead of fitting.

        Raises:
            CheckpointError: if it is of other transforms, or of other samples.
        """
        for chain in self._by_field.values():
            chain.load(state, path)
        if unknown := [name for name in state if name not in self.state]:
            raise CheckpointError(
                f"{path} has {unknown[0]}, to which [transforms] has nothing: it was made with other transforms. Use "
                f"the run file that it was made with."
            )

    @property
    def remarks(self) -> list[str]:
        """What is to be said once of what they do, and of how they were fitted."""
        return [*self.description, *(text for chain in self._by_field.values() for text in chain.remarks)]

    @property
    def description(self) -> list[str]:
        """What they do, and what that means for the loss."""
        found = [f"{field} is transformed by {', '.join(chain.names)}" for field, chain in self._by_field.items()]
        chain = self.get("y")
        if chain and chain.labels is None:
            found[-1] += "; the loss is that of transformed targets, metrics and predictions are in their own units"
        return found

    def check_classes(self, where: str, classes: int) -> None:
        """See that there is a name for each label.

        Raises:
            DataError: there isn't.
        """
        chain = self.get("y")
        labels = chain.labels if chain else None
        if labels is not None and len(labels) != classes:
            shown = ", ".join(f"{label:g}" for label in labels[:8]) + (", …" if len(labels) > 8 else "")
            raise DataError(
                f"{where}: shift_labels has the {len(labels)} labels {shown}, but the data name {classes} classes; "
                f'name as many classes, or all labels: {{kind = "shift_labels", labels = [...]}}.'
            )
